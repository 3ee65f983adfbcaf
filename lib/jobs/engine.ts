import { EventEmitter } from 'node:events'
import type * as bullmq from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_ENGINE_UNAVAILABLE, FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_INVALID_STORE, FST_ERR_JOB_UNKNOWN_QUEUE } from '../shared/errors'
import { omitUndefined } from '../shared/option-checks'
import { load } from '../shared/optional-peer'
import { stopExtendingLocks } from './backend-internals'
import { retryNoting, retryTaking } from './completing'
import { createConnection, type StoreConnection } from './connection'
import { DEFAULT_QUEUE, type Settings } from './options'
import { redactError } from '../shared/redaction'
import { logThrown } from '../shared/thrown'
import { Requests, RESPONSE_TIMEOUT } from './requests'
import type { Payload, Stored } from './serialization'
import { TRANSACTION, type TransactionClient } from './transactions'
import { sleep } from './sleep'

export type Queue = bullmq.Queue<Payload, unknown, string>
export type Processor = (queue: string, job: Stored, token?: string) => Promise<unknown>
type Part = Pick<bullmq.QueueBase, 'on' | 'waitUntilReady' | 'close' | 'getBackend'>

/** How long between two attempts to reach the store, in ms. */
const RETRY_INTERVAL = 500
/** How long one of BullMQ's objects may take to close before its connections are cut, in ms. */
const PART_TIMEOUT = RESPONSE_TIMEOUT / 6

/** BullMQ's events, and those that this plugin publishes itself. */
const FORWARDED = ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'removed', 'cancel', 'heartbeat', 'parked', 'room']

/** BullMQ's queues and their events and, for those that this process works, their workers: opened, used and closed. */
export class Engine {
  /**
   * BullMQ's events, each with its `queue`; `lost` with the ids of running jobs that are no longer this worker's; and `ended` with
   * `queue`, `job` and `result` or `error`: a job that ran here has ended, and the store has accepted how. `working` with the name of
   * a queue: its worker takes jobs.
   */
  readonly events = new EventEmitter()
  /** Whether jobs are stored in PostgreSQL, and not in Redis. */
  readonly isPostgres: boolean
  private readonly opened = new Map<string, Queue>()
  private readonly workers = new Map<string, bullmq.Worker>()
  private names: string[] = []
  private workerName: string | undefined = undefined
  private parts: Part[] = []
  private reached = false
  private working = false
  private closing = false
  private lastProblem: Error | undefined = undefined
  private readonly bullmq: typeof bullmq
  private readonly connection: StoreConnection
  private readonly requests: Requests

  /** @throws FST_ERR_JOB_MISSING_PACKAGE, FST_ERR_JOB_INVALID_OPTION */
  constructor (private readonly settings: Settings, private readonly log: FastifyBaseLogger, private readonly processor: Processor) {
    this.bullmq = load<typeof bullmq>('bullmq')
    this.connection = createConnection(this.bullmq, settings, {
      log,
      onProblem: this.reportProblem,
      onLost: () => this.requests.abandonAll(new Error('The connection was lost')),
      isClosing: () => this.closing
    })
    this.isPostgres = this.connection.isPostgres
    this.requests = new Requests(() => this.connection.heardAt)
  }

  // --- to be there ---

  /** The names of all that are open: those that the plugin lists, and those of the kinds. */
  get queues (): readonly string[] {
    return this.names
  }

  /** Whether the app is leaving the store: what is not answered now will not be asked again. */
  get isClosing (): boolean {
    return this.closing
  }

  /**
   * Resolves when the store is reached or the first attempt has failed; goes on trying in the background.
   * @throws FST_ERR_JOB_INVALID_STORE when no attempt will succeed
   */
  async open (queues: Iterable<string> = [], workerName?: string): Promise<void> {
    this.workerName = workerName
    const names = new Set([...this.settings.listed, ...queues])
    this.names = names.size === 0 ? [DEFAULT_QUEUE] : [...names]
    const firstProblem = new Promise((resolve) => this.events.once('unreachable', resolve))
    const reaching = this.connectWithRetry()
    let opened = false
    // Later there is no boot that could fail.
    reaching.catch((error) => { if (opened) this.reportProblem(error) })
    await Promise.race([reaching, firstProblem, sleep(RESPONSE_TIMEOUT, undefined, { ref: false })])
    opened = true
  }

  /** From now on the workers take jobs. */
  work (): void {
    this.working = true
    for (const [name, worker] of this.workers) {
      worker.run().catch(this.reportProblem)
      this.events.emit('working', name)
    }
  }

  /** Each time from the start: what BullMQ makes for PostgreSQL stays failed once it failed to connect. */
  private async connectWithRetry (): Promise<void> {
    while (!this.closing) {
      try {
        await this.connection.open(this.names.length, this.names.filter((name) => this.settings.worked.has(name)).length)
        const failed = (await Promise.allSettled(this.names.map((name) => this.openQueue(name)))).find(({ status }) => status === 'rejected')
        if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
        // It may have been left meanwhile.
        if (this.closing) return await this.disconnect()
        this.reached = true
        if (this.working) this.work()
        return
      } catch (error) {
        await this.disconnect()
        if (error instanceof FST_ERR_JOB_INVALID_STORE) throw error
        this.reportProblem(error as Error)
        await sleep(RETRY_INTERVAL)
      }
    }
  }

  private async openQueue (name: string): Promise<void> {
    const { queue: base, redisPrefix: prefix, telemetry, removeOnComplete, removeOnFail, worked, lockDuration, stalledInterval, maxStalledCount } = this.settings
    const { options } = this.connection
    const backend = this.connection.backend as undefined
    const common = { ...omitUndefined({ prefix, telemetry }), ...options }
    const stored = name === DEFAULT_QUEUE ? base : `${base}-${name}`
    // PostgreSQL does not announce a job that was handed back, and an event between two looks can go unheard: it is looked at
    // more often. In ms for events, in s for jobs, as BullMQ has it.
    const looks = this.isPostgres ? { blockingTimeout: 500, drainDelay: 0.3 } : {}

    this.opened.set(name, await this.add(new this.bullmq.Queue(stored, {
      ...common, defaultJobOptions: { removeOnComplete, removeOnFail }
    }, backend)))
    // It listens from an event of its own on: those that come before it listens would be lost.
    const lastEventId = await this.publish(name, 'hello', '')
    const queueEvents = new this.bullmq.QueueEvents(stored, { ...common, lastEventId, ...looks }, backend)
    const on = queueEvents.on.bind(queueEvents) as (event: string, listener: (args: object) => void) => void
    for (const event of FORWARDED) on(event, (args) => this.events.emit(event, { ...args, queue: name }))
    await this.add(queueEvents)
    const settings = worked.get(name)
    if (settings === undefined) return
    const worker = await this.add(new this.bullmq.Worker(stored, (job, token) => this.processor(name, retryNoting(job as Stored), token), {
      ...common,
      ...settings,
      ...looks,
      ...omitUndefined({ name: this.workerName, lockDuration, stalledInterval, maxStalledCount }),
      runRetryDelay: 1_000,
      autorun: false
    }, backend))
    retryTaking(worker.getBackend(), this.reportProblem)
    worker.on('lockRenewalFailed', (ids) => this.events.emit('lost', ids))
    worker.on('active', (job) => this.events.emit('taken', { queue: name, job }))
    worker.on('completed', (job, result) => this.events.emit('ended', { queue: name, job, result }))
    // An attempt that failed and is followed by another is no end.
    worker.on('failed', (job, error) => { if (job?.finishedOn !== undefined) this.events.emit('ended', { queue: name, job, error }) })
    this.workers.set(name, worker)
  }

  private async add<T extends Part> (part: T): Promise<T> {
    this.parts.push(part)
    part.on('error', this.reportProblem)
    await part.waitUntilReady()
    await this.connection.adopt(part.getBackend())
    return part
  }

  // --- to be used ---

  /**
   * @throws FST_ERR_JOB_ENGINE_UNAVAILABLE at once when the store is away, after a while when it has gone silent; FST_ERR_JOBS_CLOSED;
   * FST_ERR_JOB_INVALID_TEXT
   */
  async request<T> (queue: string, operation: (queue: Queue) => Promise<T>): Promise<T> {
    if (!this.reached && this.closing) throw new FST_ERR_JOBS_CLOSED()
    const opened = this.queue(queue)
    const { outage } = this.connection
    if (outage !== undefined) throw new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause: this.lastProblem ?? outage })
    const answer = await this.requests.run(() => operation(opened))
    this.lastProblem = undefined
    return answer
  }

  /** Within a transaction of the caller's. @throws FST_ERR_JOB_INVALID_OPTION, and what PostgreSQL says, for the caller to act on */
  async requestWithin<T> (transaction: TransactionClient, queue: string, operation: (queue: Queue) => Promise<T>): Promise<T> {
    const opened = this.queue(queue)
    if (this.connection.within === undefined) throw new FST_ERR_JOB_INVALID_OPTION('transaction', TRANSACTION, 'one for jobs that are stored in Redis')
    return await this.connection.within(transaction, () => operation(opened))
  }

  /**
   * BullMQ's own queue.
   * @throws FST_ERR_JOB_UNKNOWN_QUEUE, FST_ERR_JOB_ENGINE_UNAVAILABLE
   */
  queue (name: string): Queue {
    if (!this.names.includes(name)) throw new FST_ERR_JOB_UNKNOWN_QUEUE(name)
    const queue = this.opened.get(name)
    if (!this.reached || queue === undefined) throw new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause: this.lastProblem })
    return queue
  }

  /** Publishes an event to every process of the fleet. Through the queue's own connection: BullMQ's producer would open another. */
  async publish (queue: string, event: 'cancel' | 'heartbeat' | 'hello' | 'parked' | 'room', jobId: string, more: Record<string, string> = {}): Promise<string> {
    return this.opened.get(queue)!.getBackend().publishEvent({ event, jobId, ...more }, 10_000)
  }

  // --- to be left ---

  /** Takes no more jobs: resolves when nothing here waits for one. @returns what resolves when those that run here have ended */
  async stopTaking (): Promise<{ drained: Promise<unknown> }> {
    this.closing = true
    // Closing a connection that is lost, BullMQ would wait for its return. No longer tried, it ends soon.
    if (this.reached) await this.connection.reconnectsStopped()
    const workers = [...this.workers.values()]
    const drained = Promise.all(workers.map((worker) => worker.close()))
    await Promise.allSettled(workers.map((worker) => worker.getBackend().disconnectBlocking()))
    return { drained }
  }

  /** Leaves the store, within `timeout` ms whatever its state. */
  async close (timeout: number): Promise<void> {
    this.closing = true
    this.reached = false
    const over = sleep(timeout, undefined, { ref: false })
    await Promise.race([this.requests.settle(), over])
    await Promise.race([this.disconnect(), over])
    this.events.removeAllListeners()
  }

  private async disconnect (): Promise<void> {
    const parts = this.parts
    this.parts = []
    this.opened.clear()
    this.workers.clear()
    const soon = (closing: Promise<unknown>): Promise<unknown> => Promise.race([closing.catch(this.reportProblem), sleep(PART_TIMEOUT, undefined, { ref: false })])
    // Closing waits for the store; what it has not done soon is cut off.
    await Promise.all(parts.map((part) => soon(part.close())))
    parts.forEach(stopExtendingLocks)
    const cut = Promise.all(parts.map((part) => soon(part.getBackend().close(true))))
    await soon(this.connection.close())
    await cut
  }

  /** Once for each outage: every connection reports each of its attempts. */
  private readonly reportProblem = (error: Error): void => {
    this.events.emit('unreachable')
    const problem = error instanceof FST_ERR_JOB_INVALID_STORE ? error : redactError(error)
    if (this.closing || problem.message === this.lastProblem?.message) return
    this.lastProblem = problem
    logThrown(this.log, this.lastProblem, 'BullMQ reported an error', {}, 'warn')
  }
}
