import { contains, EVENTS, type ControlBackend, type ControlFilter, type Counts, type Found, type Summary } from '../shared/control-backend'
import {
  FST_ERR_JOB_CANCEL_TIMEOUT, FST_ERR_JOB_NOT_FOUND, FST_ERR_JOB_NOT_LIVE, FST_ERR_JOB_NO_LEASE, FST_ERR_TASK_INVALID_BODY, FST_ERR_TASK_INVALID_CURSOR
} from '../shared/errors'
import { processNumbers } from '../shared/process-info'
import { timers } from '../shared/timers'
import type { JobEvents } from './events'
import type { JobSchedule } from '../../types/job'
import type { ProcessIdentity } from '../../types/process'
import type { Job } from './job'
import type { JobRegistry } from './registry'

/** Jobs that are cancelled at a time, and entries of a page of live ones. */
const SLICE = 200

/** What routes, feed and dashboard serve of jobs: those of the whole fleet. */
export function createJobsBackend (open: () => JobRegistry, jobEvents: JobEvents, schedules: () => Promise<JobSchedule[]>, identity: ProcessIdentity): ControlBackend {
  async function find (name: string): Promise<Job> {
    const job = await open().get(name)
    if (job === undefined) throw new FST_ERR_JOB_NOT_FOUND(name)
    return job
  }

  async function findLive (name: string): Promise<Job> {
    const job = await find(name)
    if (job.endedAt !== undefined) throw new FST_ERR_JOB_NOT_LIVE(name, job.state)
    return job
  }

  return {
    async list ({ limit, after, ...filter }) {
      try {
        const { jobs, next } = await open().page({ limit, after, states: filter.states, matches: (job) => matches(job, filter) })
        return { tasks: jobs.map((job) => job.toJSON()), next }
      } catch (error) {
        if (error instanceof RangeError) throw new FST_ERR_TASK_INVALID_CURSOR()
        throw error
      }
    },
    async summary () {
      const registry = open()
      const queues = await Promise.all(registry.queues.map(async (queue) => ({ queue, ...await registry.stateOf(queue) })))
      const list = await schedules()
      return { counts: countsOf(queues, list.length), groups: [], process: processNumbers(identity), queues, schedules: list }
    },
    get: async (name) => withStack(await find(name)),
    async cancel (name) {
      const job = await findLive(name)
      const hasStopped = await stop(job)
      const now = await open().read(job.queue, job.id)
      if (now !== undefined && (now.endedAt !== undefined) === hasStopped) return withStack(now)
      return { ...job.toJSON(), ...hasStopped ? { state: 'cancelled', endedAt: Date.now(), lease: undefined } : { state: 'cancelling' } }
    },
    async cancelAll (filter, reason) {
      if (Object.values(filter).every((value) => value === undefined)) throw new FST_ERR_TASK_INVALID_BODY('an empty filter would cancel all jobs')
      const remaining: string[] = []
      let cancelled = 0
      const stopping: Array<Promise<void>> = []
      for await (const job of matching(filter)) {
        stopping.push(stop(job, reason).then((stopped) => { if (stopped) cancelled++; else remaining.push(job.name) }))
        // The requests of a slice are made together, and those who take their time are not waited for in between.
        if (stopping.length % SLICE === 0) await new Promise((resolve) => timers.setImmediate(resolve, undefined))
      }
      await Promise.all(stopping)
      return { cancelled, remaining }
    },
    async heartbeat (name) {
      const job = await findLive(name)
      if (!await job.heartbeat()) throw new FST_ERR_JOB_NOT_LIVE(name, job.state)
      if (job.toJSON().lease === undefined) throw new FST_ERR_JOB_NO_LEASE(name)
    },
    purge: async () => ({ purged: await open().purge() }),
    async * live (filter) {
      let page: Job[] = []
      for await (const job of matching(filter)) {
        page.push(job)
        if (page.length < SLICE) continue
        yield page
        page = []
      }
      if (page.length > 0) yield page
    },
    subscribe (listener) {
      const listeners = EVENTS.map((event) => [event, (job: unknown) => listener(event, job as Job)] as const)
      for (const [event, call] of listeners) jobEvents.on(event, call)
      return () => { for (const [event, call] of listeners) jobEvents.off(event, call) }
    },
    add: async (kind, data, options) => (await open().add(kind, data, options)).toJSON(),
    retry: async (name) => (await open().retry(name)).toJSON(),
    pause: (queue) => open().pause(queue),
    resume: (queue) => open().resume(queue)
  }

  async function * matching (filter: ControlFilter): AsyncGenerator<Job, void> {
    const { names } = filter
    for await (const job of names === undefined ? open().list() : open().listNamed(names)) if (matches(job, filter)) yield job
  }

  /** @returns whether it has stopped in time */
  async function stop ({ queue, id }: Job, reason?: string): Promise<boolean> {
    try {
      await open().cancelById(queue, id, reason)
      return true
    } catch (error) {
      if (error instanceof FST_ERR_JOB_CANCEL_TIMEOUT) return false
      throw error
    }
  }
}

/** Jobs have no groups. */
function matches ({ name, state }: Job, { states, group, prefix, q, names }: ControlFilter): boolean {
  return group === undefined &&
    (states === undefined || states.includes(state)) &&
    (prefix === undefined || name.startsWith(prefix)) &&
    (q === undefined || contains(name, q)) &&
    (names === undefined || names.includes(name))
}

/**
 * By BullMQ's own numbers: it counts cancelled jobs with the failed, those that are being cancelled with the running, and with the
 * pending what waits for the next time of each schedule, which is no job.
 */
function countsOf (queues: NonNullable<Summary['queues']>, schedules: number): Counts {
  const sum = (...states: string[]): number => queues.reduce((total, { counts }) => total + states.reduce((part, state) => part + counts[state], 0), 0)
  return {
    pending: Math.max(0, sum('waiting', 'prioritized', 'delayed', 'paused') - schedules),
    running: sum('active'),
    cancelling: 0,
    completed: sum('completed'),
    failed: sum('failed'),
    cancelled: 0
  }
}

function withStack (job: Job): Found {
  const snapshot = job.toJSON()
  if (job.state !== 'failed') return snapshot
  return { ...snapshot, error: { ...snapshot.error!, stack: job.error!.stack } as Found['error'] }
}
