import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobOptions } from '../../types/job'
import { FST_ERR_JOB_CANCEL_TIMEOUT, FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_UNKNOWN_KIND } from '../shared/errors'
import type { CompletionWaiter } from './completions'
import { Job } from './job'
import { checkJobOptions, checkSize, checkText, copyData } from './options'
import type { Kinds } from './kinds'
import type { Queue, Engine } from './engine'
import { serializeReason, type Reason, type Stored } from './serialization'

const WAITING = ['delayed', 'prioritized', 'waiting'] as const
/** Where a live job can be; in this order, one that goes on to the next while they are read is not missed. */
export const LIVE = [...WAITING, 'active'] as const
export const ENDED = ['completed', 'failed'] as const
const PAGE = 100
/** A request to stop is repeated: its event can be lost, or come before its job. In ms. */
const CANCEL_INTERVAL = 250

/** The verbs, as seen from one process of the fleet. */
export class JobRegistry {
  constructor (
    private readonly engine: Engine,
    private readonly completions: CompletionWaiter,
    private readonly kinds: Pick<Kinds, 'get'>,
    private readonly cancelTimeout: number
  ) {}

  async add (kind: string, data: unknown, options?: JobOptions): Promise<Job> {
    const { name = `job-${randomUUID()}`, ttl, ...engineOptions } = checkJobOptions(options)
    const defined = this.kinds.get(kind)
    if (defined === undefined) throw new FST_ERR_JOB_UNKNOWN_KIND(String(kind))
    const { schema, timeout, queue, sizeLimit, ...rest } = { ...defined.options, ...engineOptions }
    const copy = copyData(kind, data)
    defined.validate?.(copy)
    checkSize(kind, copy, sizeLimit)
    const id = randomUUID()
    const stored: Stored = await this.engine.request(queue, (engineQueue) => engineQueue.add(kind, { name, data: copy, ttl }, {
      ...rest, jobId: id, deduplication: { id: name }
    }))
    if (stored.id !== id) throw new FST_ERR_JOB_NAME_IN_USE(name)
    return new Job(queue, stored, 'waiting', this)
  }

  async get (name: string): Promise<Job | undefined> {
    const live = await this.find(name, (engineQueue, id) => this.read(engineQueue, id))
    if (live !== undefined) return new Job(live.queue, ...live.found, this)
    const ended = await Promise.all(ENDED.map((state) => this.firstOf(state, name)))
    // One of each, of which the latest had the name last.
    return ended.reduce((a, b) => b === undefined || (a !== undefined && a.endedAt! > b.endedAt!) ? a : b)
  }

  private async firstOf (state: typeof ENDED[number], name: string): Promise<Job | undefined> {
    for await (const job of this.list([state])) if (job.name === name) return job
    return undefined
  }

  async heartbeatByName (name: string): Promise<boolean> {
    const located = await this.find(name, (engineQueue, id) => engineQueue.getJob(id))
    return located !== undefined && this.beat(located.queue, located.found)
  }

  async cancel (name: string, reason?: unknown): Promise<boolean> {
    const located = await this.find(name, (engineQueue, id) => engineQueue.getJob(id))
    if (located === undefined) return false
    const { queue, found: job } = located
    const packed = serializeReason(reason)
    const { ended, abandon } = this.completions.wait(queue, job.id!, name)
    // It is looked at only now and then.
    ended.catch(() => {})
    const until = performance.now() + this.cancelTimeout
    try {
      for (;;) {
        if (await this.requestStop(queue, job.id!, packed)) return true
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
  private async requestStop (queue: string, id: string, reason: Reason): Promise<boolean> {
    return this.engine.request(queue, async (engineQueue) => {
      const job: Stored | undefined = await engineQueue.getJob(id)
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
      const removed = isOneOf(WAITING, await job.getState()) && await engineQueue.remove(id) === 1
      // A worker may have claimed even what was removed.
      await this.engine.publish(queue, 'cancel', id, { reason: JSON.stringify(cancel), ...removed && { removed: job.data.name } })
      return removed
    })
  }

  async purge (): Promise<number> {
    const purged = await Promise.all(this.engine.queues.map((queue) => (
      this.engine.request(queue, (engineQueue) => Promise.all(ENDED.map((state) => engineQueue.clean(0, 0, state))))
    )))
    return purged.flat(2).length
  }

  async * list (states: ReadonlyArray<typeof LIVE[number] | typeof ENDED[number]> = LIVE): AsyncGenerator<Job, void> {
    for (const queue of this.engine.queues) {
      const seen = new Set<string>()
      for (const state of states) {
        for (let start = 0; ; start += PAGE) {
          const page: Stored[] = await this.engine.request(queue, (engineQueue) => engineQueue.getJobs([state], start, start + PAGE - 1))
          for (const stored of page) {
            if (seen.has(stored.id!)) continue
            seen.add(stored.id!)
            yield new Job(queue, stored, state, this)
          }
          if (page.length < PAGE) break
        }
      }
    }
  }

  // --- what a job asks ---

  async wait (queue: string, id: string, name: string): Promise<unknown> {
    const ending = await this.completions.wait(queue, id, name).ended
    if (ending.state === 'completed') return ending.result
    throw ending.error
  }

  async heartbeat (queue: string, id: string): Promise<boolean> {
    return this.beat(queue, await this.engine.request(queue, (engineQueue) => engineQueue.getJob(id)))
  }

  // --- inside ---

  /** What there is to read of the live job of this name. */
  private async find<T> (name: string, read: (queue: Queue, id: string) => Promise<T | undefined>): Promise<{ queue: string, found: T } | undefined> {
    checkText('name', name)
    for (const queue of this.engine.queues) {
      const found = await this.engine.request(queue, async (engineQueue) => {
        const id = await engineQueue.getDeduplicationJobId(name)
        return id === null ? undefined : read(engineQueue, id)
      })
      if (found !== undefined) return { queue, found }
    }
    return undefined
  }

  private async read (queue: Queue, id: string): Promise<[Stored, string] | undefined> {
    const readBoth = (): Promise<[Stored | undefined, string]> => Promise.all([queue.getJob(id), queue.getJobState(id)])
    let [stored, state] = await readBoth()
    // It ended between the two answers: its outcome may be in neither.
    if (stored !== undefined && (stored.finishedOn !== undefined) !== isOneOf(ENDED, state)) [stored, state] = await readBoth()
    return stored && [stored, state]
  }

  private async beat (queue: string, job: Stored | undefined): Promise<boolean> {
    if (job === undefined || job.finishedOn !== undefined || job.data.cancel !== undefined) return false
    await this.engine.request(queue, () => this.engine.publish(queue, 'heartbeat', job.id!))
    return true
  }
}

function isOneOf (states: readonly string[], state: string): boolean {
  return states.includes(state)
}
