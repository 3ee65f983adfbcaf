import { createHash } from 'node:crypto'
import type * as bullmq from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import type { JobSchedule, JobScheduleOptions } from '../../types/job'
import { FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_NAME_IN_USE } from '../shared/errors'
import { formatValue, omitUndefined } from '../shared/option-checks'
import { load } from '../shared/optional-peer'
import { logLine } from '../shared/thrown'
import { Adder, type Draft } from './adding'
import type { Engine } from './engine'
import type { Expiries } from './expiries'
import type { Kinds } from './kinds'
import { keyOf } from './names'
import { checkName, checkScheduleOptions, checkText } from './options'
import type { Stored } from './serialization'

/** The kind of the jobs that BullMQ adds at each time of a schedule. Every worker of the plugin runs it. */
export const TICK = 'fastify-tasks:tick'

/** How often a time is tried again whose job could not be stored, and how long between. In ms. */
const TICK_OPTIONS = { attempts: 60, backoff: { type: 'fixed', delay: 1_000 }, removeOnComplete: true, removeOnFail: 100 }

type Times = Pick<JobScheduleOptions, 'every' | 'pattern' | 'tz'>

/** What is stored of a schedule: the job of each of its times. */
interface Template {
  schedule: string
  kind: string
  payload: Draft['payload']
  options: Omit<Draft['options'], 'jobId' | 'deduplication'>
  expiresIn?: number
  /** Of those of one name in several queues, the one with the highest counts. */
  stamp: number
}

/**
 * Jobs at times, once in the whole fleet: BullMQ's job schedulers. What they add has no name, so it is no job of the caller's: the
 * worker that gets it adds that job, under the name of the schedule.
 */
export class Schedules {
  readonly #engine: Engine
  readonly #adder: Adder
  readonly #log: FastifyBaseLogger

  constructor (engine: Engine, kinds: Pick<Kinds, 'get'>, expiries: Expiries, log: FastifyBaseLogger) {
    this.#engine = engine
    this.#adder = new Adder(engine, kinds, expiries)
    this.#log = log
  }

  /** Makes the schedule, or changes the one of that name. */
  async add (name: string, options: JobScheduleOptions): Promise<JobSchedule> {
    checkText('name', name)
    checkName(name)
    const { kind, data, every, pattern, tz, limit, startDate, endDate, ...jobOptions } = checkScheduleOptions(options)
    checkTimes({ every, pattern, tz, endDate })
    const { queue, payload, options: { jobId, deduplication, ...engineOptions } } = this.#adder.draft(kind, data, { ...jobOptions, name })
    const template: Template = { schedule: name, kind, payload, options: engineOptions, stamp: 0, ...omitUndefined({ expiresIn: lifetimeOf(payload) }) }
    delete payload.expiresAt
    const repeat = omitUndefined({ every, pattern, tz, limit, startDate, endDate })
    // Again, if those that were made at once in several queues have all been removed.
    for (let latest, tries = 0; latest === undefined && tries < 5; tries++) {
      template.stamp = Math.max(Date.now(), ...(await this.#find(name)).map(({ stamp }) => stamp + 1))
      await this.#engine.request(queue, (engineQueue) => engineQueue.upsertJobScheduler(keyOf(name), repeat, { name: TICK, data: template as never, opts: TICK_OPTIONS }))
      latest = await this.#settle(name)
    }
    const schedule = (await this.list()).find((schedule) => schedule.name === name && schedule.queue === queue)
    return schedule ?? omitUndefined({ name, kind, queue, every, pattern, tz, limit })
  }

  async remove (name: string): Promise<boolean> {
    checkText('name', name)
    const removed = await Promise.all(this.#engine.queues.map((queue) => this.#remove(queue, name)))
    return removed.includes(true)
  }

  #remove (queue: string, name: string): Promise<boolean> {
    return this.#engine.request(queue, (engineQueue) => engineQueue.removeJobScheduler(keyOf(name)))
  }

  /** Where there are schedules of the name. */
  async #find (name: string): Promise<Array<{ queue: string, stamp: number }>> {
    const found = await Promise.all(this.#engine.queues.map(async (queue) => {
      const { data } = await this.#engine.request(queue, (engineQueue) => engineQueue.getBackend().getJobSchedulerData(keyOf(name))) ?? {}
      return data === undefined ? [] : [{ queue, stamp: (JSON.parse(data) as Partial<Template>).stamp ?? 0 }]
    }))
    return found.flat()
  }

  /**
   * Leaves the one that was made last, for a kind may have been in another queue before, or be there in another process. It looks
   * after it has removed, too: of calls at once the last to look sees what all of them have done.
   * @returns the queue of it; `undefined` if there is none
   */
  async #settle (name: string): Promise<string | undefined> {
    const [latest, ...others] = (await this.#find(name)).sort((a, b) => b.stamp - a.stamp || a.queue.localeCompare(b.queue, 'en'))
    if (others.length === 0) return latest?.queue
    await Promise.all(others.map(({ queue }) => this.#remove(queue, name)))
    return this.#settle(name)
  }

  /** Those of all queues that have a time to come, the next first. */
  async list (): Promise<JobSchedule[]> {
    const schedules = await Promise.all(this.#engine.queues.map(async (queue) => {
      const found = await this.#engine.request(queue, (engineQueue) => engineQueue.getJobSchedulers(0, -1, true))
      return found.filter(hasFurtherTime).map(({ key, name: tick, template, every, pattern, tz, limit, next }): JobSchedule => {
        const { schedule: name = key, kind = tick } = (template?.data ?? {}) as unknown as Partial<Template>
        return omitUndefined({ name, kind, queue, every, pattern, tz, limit, next: next ?? undefined })
      })
    }))
    return schedules.flat().sort((a, b) => (a.next ?? 0) - (b.next ?? 0))
  }

  /** The time has come: adds the job of the schedule, unless that of the time before is still live. */
  async tick (queue: string, tick: Stored): Promise<void> {
    const { schedule, kind, payload, options, expiresIn } = tick.data as unknown as Template
    // A later one in another queue has taken its place.
    if (this.#engine.queues.length > 1 && (await this.#settle(schedule) ?? queue) !== queue) return
    // BullMQ has it in the id alone, for either kind of schedule on either store.
    const due = Number(tick.id!.slice(tick.id!.lastIndexOf(':') + 1))
    const left = timesBetween((tick.opts as { repeat: Times }).repeat, due, Date.now())
    if (left > 0) logLine(this.#log, 'warn', 'No process could run the schedule in time; runs were left out', { schedule, due: new Date(due).toISOString(), left })
    const expiresAt = expiresIn === undefined ? undefined : Date.now() + expiresIn
    try {
      await this.#adder.add({ queue, kind, payload: { ...payload, ...omitUndefined({ expiresAt }) }, options: { ...options, jobId: idOf(tick), deduplication: { id: keyOf(schedule) } } })
    } catch (error) {
      if (!(error instanceof FST_ERR_JOB_NAME_IN_USE)) throw error
      logLine(this.#log, 'warn', 'The last run of the schedule is still live; this one is left out', { schedule })
    }
  }
}

/** BullMQ keeps those that have reached their end. */
function hasFurtherTime ({ next, limit = Infinity, iterationCount = 0, endDate = Infinity }: bullmq.JobSchedulerJson): boolean {
  const now = Date.now()
  return (next ?? Infinity) > now || (iterationCount < limit && endDate > now)
}

/** How long the job may wait, from when it is added. */
function lifetimeOf ({ expiresAt }: Draft['payload']): number | undefined {
  return expiresAt === undefined ? undefined : Math.max(1, expiresAt - Date.now())
}

/** The same for each attempt, so that a job whose addition was not confirmed is not added twice. */
function idOf ({ id }: Stored): string {
  const hash = createHash('sha256').update(id!).digest('hex')
  return [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join('-')
}

/** How many further times the schedule has had. */
function timesBetween ({ every, pattern, tz }: Times, due: number, now: number): number {
  if (every !== undefined) return Math.floor((now - due) / every)
  const next = nextTime(due, omitUndefined({ pattern, tz }))
  return next !== undefined && next <= now ? 1 : 0
}

function nextTime (after: number, options: Times): number | undefined {
  return load<typeof bullmq>('bullmq').defaultRepeatStrategy(after, options) as number | undefined
}

/** @throws FST_ERR_JOB_INVALID_OPTION */
function checkTimes ({ every, pattern, tz, endDate }: Times & Pick<JobScheduleOptions, 'endDate'>): void {
  if ((every === undefined) === (pattern === undefined)) {
    throw new FST_ERR_JOB_INVALID_OPTION('every', 'a number of ms, or else pattern a cron pattern: one of both', formatValue(every))
  }
  if (endDate !== undefined && new Date(endDate).getTime() <= Date.now()) throw new FST_ERR_JOB_INVALID_OPTION('endDate', 'a date to come', formatValue(endDate))
  if (tz !== undefined && pattern === undefined) throw new FST_ERR_JOB_INVALID_OPTION('tz', 'left out: it is for a pattern', formatValue(tz))
  if (tz !== undefined && !isTimeZone(tz)) throw new FST_ERR_JOB_INVALID_OPTION('tz', "the name of a time zone, such as 'Europe/Berlin'", formatValue(tz))
  if (pattern !== undefined && !hasTimes(pattern, tz)) throw new FST_ERR_JOB_INVALID_OPTION('pattern', "a cron pattern that has times, such as '0 3 * * *'", formatValue(pattern))
}

function isTimeZone (tz: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: tz }) !== undefined
  } catch {
    return false
  }
}

/** With five fields, or six for one of seconds: the parser would take any number of them. */
function hasTimes (pattern: string, tz?: string): boolean {
  if (!pattern.startsWith('@') && ![5, 6].includes(pattern.trim().split(/\s+/).length)) return false
  try {
    return nextTime(Date.now(), omitUndefined({ pattern, tz })) !== undefined
  } catch {
    return false
  }
}
