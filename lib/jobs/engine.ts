import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type * as bullmq from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_ENGINE_UNAVAILABLE, FST_ERR_JOB_INVALID_TEXT } from '../shared/errors'
import { omitUndefined } from '../shared/option-checks'
import { ConnectionConfig } from './connection'
import { load } from '../shared/optional-peer'
import { DEFAULT_QUEUE, type Settings } from './options'
import type { Payload, Stored } from './serialization'

export type Queue = bullmq.Queue<Payload, unknown, string>
export type Processor = (job: Stored, token?: string) => Promise<unknown>
type Connected = Pick<bullmq.QueueBase, 'on' | 'waitUntilReady' | 'close' | 'getBackend'>

/** How long the store may take to answer, and how long a boot waits for it, in ms. */
const RESPONSE_TIMEOUT = 5_000
/** How long between two attempts to reach it, in ms. */
const RETRY_INTERVAL = 500

/** What no later attempt will change: a PostgreSQL without the engine's tables, or of the wrong version. */
const FATAL = ['SchemaMigrationRequiredError', 'SchemaVersionMismatchError', 'UnsupportedPostgresVersionError']

/** BullMQ's events, and those that this plugin publishes itself. */
const FORWARDED = ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'removed', 'cancel', 'heartbeat']

/** PostgreSQL's class of errors for values that it cannot hold: texts with U+0000 or half of a surrogate pair. */
const DATA_EXCEPTION = /^22/

/** BullMQ's queues and their events and, for those that this process works, their workers: opened, used and closed. */
export class Engine {
  /**
   * BullMQ's events, each with its `queue`; `lost` with the ids of running jobs that are no longer this worker's; and `ended` with
   * `queue`, `job` and `result` or `error`: a job that ran here has ended, and the store has accepted how.
   */
  readonly events = new EventEmitter()
  private readonly opened = new Map<string, Queue>()
  private readonly workers = new Set<bullmq.Worker>()
  private names: string[] = []
  private parts: Connected[] = []
  private reached = false
  private working = false
  private closing = false
  private lastProblem: Error | undefined = undefined
  /** Requests without an answer so far. */
  private readonly pending = new Set<Promise<unknown>>()
  private answeredAt = 0
  private readonly bullmq: typeof bullmq
  private readonly connection: ConnectionConfig

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (private readonly settings: Settings, private readonly log: FastifyBaseLogger, private readonly processor: Processor) {
    this.bullmq = load<typeof bullmq>('bullmq')
    this.connection = new ConnectionConfig(this.bullmq, settings.connection)
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
   * @throws what says that no attempt will succeed
   */
  async open (queues: Iterable<string> = []): Promise<void> {
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

  /** From now on the worker takes jobs. */
  work (): void {
    this.working = true
    for (const worker of this.workers) worker.run().catch(this.reportProblem)
  }

  /** Each time from the start: what the engine makes for PostgreSQL stays failed once it failed to connect. */
  private async connectWithRetry (): Promise<void> {
    while (!this.closing) {
      try {
        for (const name of this.names) await this.connect(name)
        // It may have been left meanwhile.
        if (this.closing) return await this.disconnect()
        this.reached = true
        if (this.working) this.work()
        return
      } catch (error) {
        await this.disconnect()
        if (FATAL.includes((error as Error).name)) throw error
        this.reportProblem(error as Error)
        await sleep(RETRY_INTERVAL)
      }
    }
  }

  private async connect (name: string): Promise<void> {
    const { queue: base, redisPrefix: prefix, telemetry, removeOnComplete, removeOnFail, worked, lockDuration, stalledInterval, maxStalledCount } = this.settings
    const { isPostgres } = this.connection
    const backend = (isPostgres ? this.bullmq.createPostgresBackend : undefined) as undefined
    const common = omitUndefined({ prefix, telemetry })
    const stored = name === DEFAULT_QUEUE ? base : `${base}-${name}`
    const connection = (purpose: 'command' | 'blocking'): bullmq.ConnectionOptions => this.connection.options(purpose, () => this.closing)
    // PostgreSQL does not announce a job that was handed back, and an event between two looks can go unheard: it is looked at
    // more often. In ms for events, in s for jobs, as the engine has it.
    const looks = isPostgres ? { blockingTimeout: 500, drainDelay: 0.3 } : {}

    this.opened.set(name, await this.add(new this.bullmq.Queue(stored, {
      ...common, connection: connection('command'), defaultJobOptions: { removeOnComplete, removeOnFail }
    }, backend)))
    // It listens from an event of its own on: those that come before it listens would be lost.
    const lastEventId = await this.publish(name, 'hello', '')
    const queueEvents = new this.bullmq.QueueEvents(stored, {
      ...common, connection: connection('blocking'), lastEventId, ...looks
    }, backend)
    const on = queueEvents.on.bind(queueEvents) as (event: string, listener: (args: object) => void) => void
    for (const event of FORWARDED) on(event, (args) => this.events.emit(event, { ...args, queue: name }))
    await this.add(queueEvents)
    const settings = worked.get(name)
    if (settings === undefined) return
    const worker = await this.add(new this.bullmq.Worker(stored, this.processor, {
      ...common,
      ...settings,
      connection: connection('blocking'),
      lockDuration,
      stalledInterval,
      maxStalledCount,
      ...looks,
      runRetryDelay: 1_000,
      autorun: false
    }, backend))
    worker.on('lockRenewalFailed', (ids) => this.events.emit('lost', ids))
    worker.on('completed', (job, result) => this.events.emit('ended', { queue: name, job, result }))
    // An attempt that failed and is followed by another is no end.
    worker.on('failed', (job, error) => { if (job?.finishedOn !== undefined) this.events.emit('ended', { queue: name, job, error }) })
    this.workers.add(worker)
  }

  private async add<T extends Connected> (part: T): Promise<T> {
    this.parts.push(part)
    part.on('error', this.reportProblem)
    this.connection.keepErrorListeners(part.getBackend())
    await part.waitUntilReady()
    return part
  }

  // --- to be used ---

  /** @throws FST_ERR_JOB_ENGINE_UNAVAILABLE at once when the store is away, after a while when it has gone silent */
  async request<T> (queue: string, operation: (queue: Queue) => Promise<T>): Promise<T> {
    if (!this.reached) throw this.closing ? new FST_ERR_JOBS_CLOSED() : new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause: this.lastProblem })
    const since = performance.now()
    let timer: NodeJS.Timeout | undefined
    let done = false
    const silence = new Promise<never>((_resolve, reject) => {
      const check = (): void => {
        if (done) return
        // Many requests at once may take long in all: what counts is whether any of them is answered.
        const silent = performance.now() - Math.max(since, this.answeredAt)
        if (silent >= RESPONSE_TIMEOUT) reject(new Error(`No answer for ${RESPONSE_TIMEOUT} ms`))
        // After a stall of the event loop a timer comes before the answers that wait in the socket; an immediate does not.
        else timer = setTimeout(setImmediate, RESPONSE_TIMEOUT - silent, check)
      }
      check()
    })
    const requesting = Promise.race([operation(this.opened.get(queue)!), silence]).catch((cause) => {
      // The engine numbers its own answers, such as that a job is gone.
      if (typeof cause.code === 'number') throw cause
      if (DATA_EXCEPTION.test(cause.code)) throw new FST_ERR_JOB_INVALID_TEXT(cause.message, { cause })
      // Whatever else goes wrong is the store's.
      throw new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause })
    }).finally(() => {
      done = true
      clearTimeout(timer)
      this.pending.delete(requesting)
    })
    this.pending.add(requesting)
    const answer = await requesting
    this.answeredAt = performance.now()
    this.lastProblem = undefined
    return answer
  }

  /** Publishes an event to every process of the fleet. Through the queue's own connection: the engine's producer would open another. */
  async publish (queue: string, event: 'cancel' | 'heartbeat' | 'hello', jobId: string, more: Record<string, string> = {}): Promise<string> {
    return this.opened.get(queue)!.getBackend().publishEvent({ event, jobId, ...more }, 10_000)
  }

  // --- to be left ---

  /** Takes no more jobs. Resolves when those that run here have ended. */
  async drainWorkers (): Promise<void> {
    this.closing = true
    await this.abandonReconnects()
    await Promise.all(Array.from(this.workers, (worker) => worker.close()))
  }

  /** Closing a connection that is lost, the engine would wait for its return. No longer tried, it ends soon. */
  private async abandonReconnects (): Promise<void> {
    if (!this.reached) return
    for (const part of this.parts) await this.connection.reconnectsStopped(part.getBackend())
  }

  /** Leaves the store, within `timeout` ms whatever its state. */
  async close (timeout: number): Promise<void> {
    this.closing = true
    this.reached = false
    const over = sleep(timeout, undefined, { ref: false })
    // A store that hangs does not answer.
    await Promise.race([Promise.allSettled(this.pending), sleep(RESPONSE_TIMEOUT / 6, undefined, { ref: false }), over])
    await Promise.race([this.disconnect(), over])
    this.events.removeAllListeners()
  }

  private async disconnect (): Promise<void> {
    const parts = this.parts
    this.parts = []
    this.opened.clear()
    this.workers.clear()
    await Promise.all(parts.map(async (part) => {
      // Closing waits for the store; what it has not done soon is cut off.
      await Promise.race([part.close().catch(this.reportProblem), sleep(RESPONSE_TIMEOUT / 6, undefined, { ref: false })])
      const backend = part.getBackend()
      const closed = backend.close(true).catch(this.reportProblem)
      await this.connection.disconnect(backend)
      await closed
    }))
  }

  /** Once for each outage: every connection reports each of its attempts. */
  private readonly reportProblem = (error: Error): void => {
    this.events.emit('unreachable')
    if (this.closing || error.message === this.lastProblem?.message) return
    this.lastProblem = error
    this.log.warn({ err: error }, 'BullMQ reported an error')
  }
}
