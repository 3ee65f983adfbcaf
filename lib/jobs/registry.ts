import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobOptions } from '../../types/job'
import { FST_ERR_JOB_CANCEL_TIMEOUT, FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_UNKNOWN_KIND } from '../shared/errors'
import type { Endings } from './completions'
import { Job } from './job'
import { checkJobOptions, checkSize, checkText, copyData } from './options'
import type { Kind } from './runner'
import type { Queue, Store } from './engine'
import { packReason, type Reason, type Stored } from './serialization'

const WAITING = ['delayed', 'prioritized', 'waiting'] as const
/** Where a live job can be; in this order, one that goes on to the next while they are read is not missed. */
export const LIVE = [...WAITING, 'active'] as const
export const ENDED = ['completed', 'failed'] as const
const PAGE = 100
/** A request to stop is repeated: its event can be lost, or come before its job. In ms. */
const CANCEL_INTERVAL = 250

/** The verbs, as seen from one process of the fleet. */
export class Fleet {
  constructor (
    private readonly store: Store,
    private readonly endings: Endings,
    private readonly kinds: ReadonlyMap<string, Kind>,
    private readonly cancelTimeout: number
  ) {}

  async add (kind: string, data: unknown, options?: JobOptions): Promise<Job> {
    const { name = `job-${randomUUID()}`, ttl, ...engineOptions } = checkJobOptions(options)
    const defined = this.kinds.get(kind)
    if (defined === undefined) throw new FST_ERR_JOB_UNKNOWN_KIND(String(kind))
    const { schema, timeout, sizeLimit, ...rest } = { ...defined.options, ...engineOptions }
    const copy = copyData(kind, data)
    defined.validate?.(copy)
    checkSize(kind, copy, sizeLimit)
    const id = randomUUID()
    const stored: Stored = await this.store.ask((queue) => queue.add(kind, { name, data: copy, ttl }, {
      ...rest, jobId: id, deduplication: { id: name }
    }))
    if (stored.id !== id) throw new FST_ERR_JOB_NAME_IN_USE(name)
    return new Job(stored, 'waiting', this)
  }

  async get (name: string): Promise<Job | undefined> {
    const live = await this.find(name, (queue, id) => this.read(queue, id))
    if (live !== undefined) return live
    const ended = await Promise.all(ENDED.map((state) => this.firstOf(state, name)))
    // One of each, of which the latest had the name last.
    return ended.reduce((a, b) => b === undefined || (a !== undefined && a.endedAt! > b.endedAt!) ? a : b)
  }

  private async firstOf (state: typeof ENDED[number], name: string): Promise<Job | undefined> {
    for await (const job of this.list([state])) if (job.name === name) return job
    return undefined
  }

  async heartbeatByName (name: string): Promise<boolean> {
    return this.beat(await this.find(name, (queue, id) => queue.getJob(id)))
  }

  async cancel (name: string, reason?: unknown): Promise<boolean> {
    const job = await this.find(name, (queue, id) => queue.getJob(id))
    if (job === undefined) return false
    const packed = packReason(reason)
    const { ended, abandon } = this.endings.wait(job.id!, name)
    // It is looked at only now and then.
    ended.catch(() => {})
    const until = performance.now() + this.cancelTimeout
    try {
      for (;;) {
        if (await this.requestStop(job.id!, packed)) return true
        const left = until - performance.now()
        const ending = await Promise.race([ended, sleep(Math.max(0, Math.min(CANCEL_INTERVAL, left)))])
        if (typeof ending === 'object') return ending.state === 'cancelled'
        if (left <= CANCEL_INTERVAL) throw new FST_ERR_JOB_CANCEL_TIMEOUT(name, this.cancelTimeout)
      }
    } finally {
      abandon()
    }
  }

  /**
   * Flags the job first: whoever starts it after that sees the flag, and whoever had started it is told.
   * @returns whether it was waiting, and is removed
   */
  private async requestStop (id: string, reason: Reason): Promise<boolean> {
    return this.store.ask(async (queue) => {
      const job: Stored | undefined = await queue.getJob(id)
      if (job === undefined || job.finishedOn !== undefined) return false
      const { cancel = reason } = job.data
      try {
        if (job.data.cancel === undefined) await job.updateData({ ...job.data, cancel })
      } catch (error) {
        // Another cancel has removed it.
        if ((error as { code?: unknown }).code === -1) return false
        throw error
      }
      // Only what waits: of a job that ended meanwhile the engine would remove the record.
      const removed = isOneOf(WAITING, await job.getState()) && await queue.remove(id) === 1
      // A worker may have claimed even what was removed.
      await this.store.publish('cancel', id, { reason: JSON.stringify(cancel), ...removed && { removed: job.data.name } })
      return removed
    })
  }

  async purge (): Promise<number> {
    const purged = await this.store.ask((queue) => Promise.all([queue.clean(0, 0, 'completed'), queue.clean(0, 0, 'failed')]))
    return purged.flat().length
  }

  async * list (states: ReadonlyArray<typeof LIVE[number] | typeof ENDED[number]> = LIVE): AsyncGenerator<Job, void> {
    const seen = new Set<string>()
    for (const state of states) {
      for (let start = 0; ; start += PAGE) {
        const page: Stored[] = await this.store.ask((queue) => queue.getJobs([state], start, start + PAGE - 1))
        for (const stored of page) {
          if (seen.has(stored.id!)) continue
          seen.add(stored.id!)
          yield new Job(stored, state, this)
        }
        if (page.length < PAGE) break
      }
    }
  }

  // --- what a job asks ---

  async wait (id: string, name: string): Promise<unknown> {
    const ending = await this.endings.wait(id, name).ended
    if (ending.state === 'completed') return ending.result
    throw ending.error
  }

  async heartbeat (id: string): Promise<boolean> {
    return this.beat(await this.store.ask((queue) => queue.getJob(id)))
  }

  // --- inside ---

  /** What there is to read of the live job of this name. */
  private async find<T> (name: string, read: (queue: Queue, id: string) => Promise<T | undefined>): Promise<T | undefined> {
    checkText('name', name)
    return this.store.ask(async (queue) => {
      const id = await queue.getDeduplicationJobId(name)
      return id === null ? undefined : read(queue, id)
    })
  }

  private async read (queue: Queue, id: string): Promise<Job | undefined> {
    const ask = (): Promise<[Stored | undefined, string]> => Promise.all([queue.getJob(id), queue.getJobState(id)])
    let [stored, state] = await ask()
    // It ended between the two answers: its outcome may be in neither.
    if (stored !== undefined && (stored.finishedOn !== undefined) !== isOneOf(ENDED, state)) [stored, state] = await ask()
    return stored && new Job(stored, state, this)
  }

  private async beat (job: Stored | undefined): Promise<boolean> {
    if (job === undefined || job.finishedOn !== undefined || job.data.cancel !== undefined) return false
    await this.store.ask(() => this.store.publish('heartbeat', job.id!))
    return true
  }
}

function isOneOf (states: readonly string[], state: string): boolean {
  return states.includes(state)
}
