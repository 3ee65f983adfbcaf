import type { JobType } from 'bullmq'
import type { JobCounts, JobOptions, JobToAdd, WaitOptions } from '../../types/job'
import { FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_NOT_FAILED, FST_ERR_JOB_NOT_FOUND, FST_ERR_JOB_UNKNOWN_QUEUE } from '../shared/errors'
import { Adder, type Draft } from './adding'
import { Canceller } from './canceller'
import type { Awaited, CompletionWaiter } from './completions'
import { ConcurrentCancels } from './concurrent-cancels'
import type { Engine, Queue } from './engine'
import type { Expiries } from './expiries'
import { fieldsOf, fieldsOfEnded, Job } from './job'
import type { Kinds } from './kinds'
import { liveJobs, pageOfJobs, type JobQuery } from './listing'
import { Lookup, type Located } from './lookup'
import { claimNameForRetry, isEnded, readJob, releaseName } from './names'
import { checkJobList, checkJobToAdd, checkText } from './options'
import type { Outcomes } from './outcomes'
import { removeEnded } from './purging'
import type { Stored } from './serialization'
import { waitFor } from './waiting'

/** Jobs that a purge removes with one request: it takes long in all, and each of them is to be answered soon. */
const PURGE_SLICE = 5_000

/** Names that are looked up at once. */
const NAMES_SLICE = 100

const COUNTED = ['waiting', 'prioritized', 'delayed', 'paused', 'active', 'completed', 'failed'] as const

interface Parts {
  engine: Engine
  completions: CompletionWaiter
  outcomes: Outcomes
  expiries: Expiries
  kinds: Pick<Kinds, 'get'>
  cancelTimeout: number
}

/** The verbs, as seen from one process of the fleet. */
export class JobRegistry {
  readonly #engine: Engine
  readonly #completions: CompletionWaiter
  readonly #outcomes: Outcomes
  readonly #expiries: Expiries
  readonly #adder: Adder
  readonly #lookup: Lookup
  readonly #canceller: Canceller
  readonly #cancels = new ConcurrentCancels()

  constructor ({ engine, completions, outcomes, expiries, kinds, cancelTimeout }: Parts) {
    this.#engine = engine
    this.#completions = completions
    this.#outcomes = outcomes
    this.#expiries = expiries
    this.#adder = new Adder(engine, kinds, expiries)
    this.#lookup = new Lookup(engine, outcomes, expiries)
    this.#canceller = new Canceller({ engine, completions, outcomes, expiries, timeout: cancelTimeout })
  }

  async add (kind: string, data: unknown, options?: JobOptions): Promise<Job> {
    const draft = this.#adder.draft(kind, data, options)
    return this.#added(draft.queue, await this.#adder.add(draft))
  }

  /** @throws only what is wrong with the list itself */
  async addAll (kind: string, list: readonly JobToAdd[]): Promise<Array<PromiseSettledResult<Job>>> {
    checkJobList(list)
    const drafts: Array<PromiseSettledResult<Draft>> = Array.from(list, (job: unknown) => {
      try {
        checkJobToAdd(job)
        const { data, ...options } = job
        return { status: 'fulfilled', value: this.#adder.draft(kind, data, options) }
      } catch (reason) {
        return { status: 'rejected', reason }
      }
    })
    const stored = await this.#adder.addAll(drafts.flatMap((draft) => draft.status === 'fulfilled' ? [draft.value] : []))
    return drafts.map((draft) => {
      if (draft.status === 'rejected') return draft
      const result = stored.shift()!
      return result.status === 'rejected' ? result : { status: 'fulfilled', value: this.#added(draft.value.queue, result.value) }
    })
  }

  async get (which: string | { id: string }): Promise<Job | undefined> {
    if (typeof which === 'object' && which !== null) checkText('id', which.id)
    else checkText('name', which)
    return this.#jobOf(await (typeof which === 'string' ? this.#lookup.byName(which) : this.#lookup.byId(which.id)))
  }

  async cancel (name: string, reason?: unknown): Promise<boolean> {
    checkText('name', name)
    const requestedAt = Date.now()
    return this.#cancels.run(name, async () => {
      const located = await this.#lookup.byName(name)
      if (located === undefined) return undefined
      if (isEnded(located.state)) return located.stored.finishedOn! < requestedAt ? false : undefined
      await this.#canceller.cancel(located, reason)
      return true
    })
  }

  /** Resolves when it has stopped, or had before. @throws FST_ERR_JOB_CANCEL_TIMEOUT, FST_ERR_JOB_ENGINE_UNAVAILABLE */
  async cancelById (queue: string, id: string, reason?: unknown): Promise<void> {
    const located = await this.#lookup.read(queue, id)
    if (located !== undefined && !isEnded(located.state)) await this.#canceller.cancel(located, reason)
  }

  async heartbeatByName (name: string): Promise<boolean> {
    checkText('name', name)
    const located = await this.#lookup.liveByName(name)
    return located !== undefined && this.#beat(located.queue, located.stored)
  }

  /** @throws FST_ERR_JOB_NOT_FOUND, FST_ERR_JOB_NOT_FAILED, FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_ENGINE_UNAVAILABLE */
  async retry (name: string): Promise<Job> {
    checkText('name', name)
    const located = await this.#lookup.byName(name)
    if (located === undefined) throw new FST_ERR_JOB_NOT_FOUND(name)
    const { queue, stored, state } = located
    if (!isEnded(state)) throw new FST_ERR_JOB_NAME_IN_USE(name)
    if (state !== 'failed') throw new FST_ERR_JOB_NOT_FAILED(name, state)
    const request = <T>(operation: (engineQueue: Queue) => Promise<T>): Promise<T> => this.#engine.request(queue, operation)
    let isClaimed = false
    try {
      isClaimed = await request((engineQueue) => claimNameForRetry(engineQueue, stored))
      if (!isClaimed) throw new FST_ERR_JOB_NAME_IN_USE(name)
      await this.#outcomes.forget(queue, stored.id!)
      await request(() => stored.retry('failed', { resetAttemptsMade: true }))
    } catch (error) {
      const now = await request((engineQueue) => readJob(engineQueue, stored.id!))
      const isLive = now !== undefined && !isEnded(now.state)
      // Somebody else has set it going: it has its name.
      if (isClaimed && !isLive) await request((engineQueue) => releaseName(engineQueue, stored))
      if (typeof (error as { code?: unknown }).code !== 'number') throw error
      throw isLive ? new FST_ERR_JOB_NAME_IN_USE(name) : new FST_ERR_JOB_NOT_FOUND(name)
    }
    return this.#added(queue, stored)
  }

  /** Removes those that had ended when it was called. @returns how many */
  async purge (): Promise<number> {
    const now = Date.now()
    let purged = 0
    for (const queue of this.#engine.queues) {
      for (const state of ['completed', 'failed']) {
        // A slice may be short though more follow: one of it was just retried.
        for (let removed; removed !== 0;) {
          removed = await this.#engine.request(queue, (engineQueue) => removeEnded(engineQueue, { state, before: now, limit: PURGE_SLICE }))
          purged += removed
        }
      }
      await this.#outcomes.retire(queue)
    }
    return purged
  }

  /** No job of the queue, or of any, is started any more, in any process. Those that run go on. */
  async pause (queue?: string): Promise<void> {
    await Promise.all(this.#queues(queue).map((name) => this.#engine.request(name, (engineQueue) => engineQueue.pause())))
  }

  async resume (queue?: string): Promise<void> {
    await Promise.all(this.#queues(queue).map((name) => this.#engine.request(name, (engineQueue) => engineQueue.resume())))
  }

  /** Those of the queue, or of all queues together. */
  async counts (queue?: string): Promise<JobCounts> {
    const states = await Promise.all(this.#queues(queue).map((name) => this.stateOf(name)))
    const sum = Object.fromEntries(COUNTED.map((state) => [state, 0])) as JobCounts
    for (const { counts } of states) for (const state of COUNTED) sum[state] += counts[state]
    return sum
  }

  async stateOf (queue: string): Promise<{ counts: JobCounts, paused: boolean }> {
    return this.#engine.request(queue, async (engineQueue) => {
      // PostgreSQL leaves the paused ones out unless they are asked for.
      const [counts, paused] = await Promise.all([engineQueue.getJobCounts(...COUNTED as readonly JobType[]), engineQueue.isPaused()])
      return { counts: counts as JobCounts, paused }
    })
  }

  get queues (): readonly string[] {
    return this.#engine.queues
  }

  /** The job of an id; one that has ended, even when its record is gone. */
  async read (queue: string, id: string): Promise<Job | undefined> {
    const located = await this.#lookup.read(queue, id)
    if (located !== undefined) return this.#jobOf(located)
    const ended = (await this.#outcomes.find(queue, [id])).get(id)
    return ended && new Job(fieldsOfEnded(queue, ended), this)
  }

  list (): AsyncGenerator<Job, void> {
    return liveJobs({ engine: this.#engine, expiries: this.#expiries }, this)
  }

  /** The live jobs of these names. It costs as much as there are names, however many jobs are live. */
  async * listNamed (names: readonly string[]): AsyncGenerator<Job, void> {
    const unique = [...new Set(names)]
    for (let i = 0; i < unique.length; i += NAMES_SLICE) {
      const located = await Promise.all(unique.slice(i, i + NAMES_SLICE).map((name) => this.#lookup.allLiveByName(name)))
      for (const one of located.flat()) yield this.#jobOf(one)!
    }
  }

  page (query: JobQuery): Promise<{ jobs: Job[], next?: string }> {
    return pageOfJobs({ engine: this.#engine, expiries: this.#expiries }, this, query)
  }

  // --- what a job asks ---

  async wait (job: Awaited, options: WaitOptions): Promise<unknown> {
    const outcome = await waitFor(this.#completions.wait(job), job.name, options)
    if (outcome.state === 'completed') return outcome.result
    throw outcome.error
  }

  async heartbeat (queue: string, id: string): Promise<boolean> {
    return this.#beat(queue, await this.#engine.request(queue, (engineQueue) => engineQueue.getJob(id)))
  }

  // --- inside ---

  async #beat (queue: string, job: Stored | undefined): Promise<boolean> {
    if (job === undefined || typeof job.finishedOn === 'number' || job.data.cancel !== undefined) return false
    await this.#engine.request(queue, () => this.#engine.publish(queue, 'heartbeat', job.id!))
    return true
  }

  #added (queue: string, stored: Stored): Job {
    return new Job(fieldsOf(queue, stored, 'waiting'), this)
  }

  #jobOf (located: Located | undefined): Job | undefined {
    return located && new Job(fieldsOf(located.queue, located.stored, located.state), this)
  }

  /** @throws FST_ERR_JOB_UNKNOWN_QUEUE */
  #queues (queue: string | undefined): readonly string[] {
    if (queue === undefined) return this.#engine.queues
    if (this.#engine.queues.includes(queue)) return [queue]
    throw new FST_ERR_JOB_UNKNOWN_QUEUE(String(queue))
  }
}
