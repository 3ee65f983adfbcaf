import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type * as bullmq from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_ENGINE_UNAVAILABLE, FST_ERR_JOB_INVALID_TEXT } from '../shared/errors'
import { omitUndefined } from '../shared/option-checks'
import { Connection } from './connection'
import { load } from '../shared/optional-peer'
import type { Settings } from './options'
import type { Payload, Stored } from './serialization'

export type Queue = bullmq.Queue<Payload, unknown, string>
export type Processor = (job: Stored, token?: string) => Promise<unknown>
type Connected = Pick<bullmq.QueueBase, 'on' | 'waitUntilReady' | 'close' | 'getBackend'>

/** How long the store may take to answer, and how long a boot waits for it, in ms. */
const PATIENCE = 5_000
/** How long between two attempts to reach it, in ms. */
const RETRY_INTERVAL = 500

/** What no later attempt will change: a PostgreSQL without the engine's tables, or of the wrong version. */
const FATAL = ['SchemaMigrationRequiredError', 'SchemaVersionMismatchError', 'UnsupportedPostgresVersionError']

/** PostgreSQL's class of errors for values that it cannot hold: texts with U+0000 or half of a surrogate pair. */
const DATA_EXCEPTION = /^22/

/** The engine's queue, its events and, in a process that works, its worker: reached, asked and closed. */
export class Store {
  /** The engine's events, and `lost` with the ids of running jobs that are no longer this worker's. */
  readonly events = new EventEmitter()
  private queue: Queue | undefined = undefined
  private worker: bullmq.Worker | undefined = undefined
  private parts: Connected[] = []
  private reached = false
  private working = false
  private closing = false
  private lastComplaint: Error | undefined = undefined
  /** What has been asked and not been answered. */
  private readonly asked = new Set<Promise<unknown>>()
  private answeredAt = 0
  private readonly engine: typeof bullmq
  private readonly connection: Connection

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (private readonly settings: Settings, private readonly log: FastifyBaseLogger, private readonly processor: Processor | undefined) {
    this.engine = load<typeof bullmq>('bullmq')
    this.connection = new Connection(this.engine, settings.connection)
  }

  // --- to be there ---

  /**
   * Resolves when the store is reached or the first attempt has failed; goes on trying in the background.
   * @throws what says that no attempt will succeed
   */
  async open (): Promise<void> {
    const firstComplaint = new Promise((resolve) => this.events.once('unreachable', resolve))
    const reaching = this.reach()
    let opened = false
    // Later there is no boot that could fail.
    reaching.catch((error) => { if (opened) this.complain(error) })
    await Promise.race([reaching, firstComplaint, sleep(PATIENCE, undefined, { ref: false })])
    opened = true
  }

  /** From now on the worker takes jobs. */
  work (): void {
    this.working = true
    this.worker?.run().catch(this.complain)
  }

  /** Each time from the start: what the engine makes for PostgreSQL stays failed once it failed to connect. */
  private async reach (): Promise<void> {
    while (!this.closing) {
      try {
        await this.connect()
        // It may have been left meanwhile.
        if (this.closing) return await this.disconnect()
        this.reached = true
        if (this.working) this.work()
        return
      } catch (error) {
        await this.disconnect()
        if (FATAL.includes((error as Error).name)) throw error
        this.complain(error as Error)
        await sleep(RETRY_INTERVAL)
      }
    }
  }

  private async connect (): Promise<void> {
    const { queue: name, redisPrefix: prefix, telemetry, limiter, removeOnComplete, removeOnFail, concurrency, lockDuration, stalledInterval, maxStalledCount } = this.settings
    const { isPostgres } = this.connection
    const backend = (isPostgres ? this.engine.createPostgresBackend : undefined) as undefined
    const common = omitUndefined({ prefix, telemetry })
    const connection = (purpose: 'ask' | 'wait'): bullmq.ConnectionOptions => this.connection.options(purpose, () => this.closing)
    // PostgreSQL does not announce a job that was handed back, and an event between two looks can go unheard: it is looked at
    // more often. In ms for events, in s for jobs, as the engine has it.
    const looks = isPostgres ? { blockingTimeout: 500, drainDelay: 0.3 } : {}

    this.queue = await this.add(new this.engine.Queue(name, {
      ...common, connection: connection('ask'), defaultJobOptions: { removeOnComplete, removeOnFail }
    }, backend))
    // It listens from an event of its own on: those that come before it listens would be lost.
    const lastEventId = await this.publish('hello', '')
    const queueEvents = new this.engine.QueueEvents(name, {
      ...common, connection: connection('wait'), lastEventId, ...looks
    }, backend)
    const on = queueEvents.on.bind(queueEvents) as (event: string, listener: (args: object) => void) => void
    for (const event of ['completed', 'failed', 'cancel', 'heartbeat']) on(event, (args) => this.events.emit(event, args))
    await this.add(queueEvents)
    if (this.processor === undefined) return
    this.worker = await this.add(new this.engine.Worker(name, this.processor, {
      ...common,
      ...omitUndefined({ limiter }),
      connection: connection('wait'),
      concurrency,
      lockDuration,
      stalledInterval,
      maxStalledCount,
      ...looks,
      runRetryDelay: 1_000,
      autorun: false
    }, backend))
    this.worker.on('lockRenewalFailed', (ids) => this.events.emit('lost', ids))
  }

  private async add<T extends Connected> (part: T): Promise<T> {
    this.parts.push(part)
    part.on('error', this.complain)
    this.connection.keepErrorListeners(part.getBackend())
    await part.waitUntilReady()
    return part
  }

  // --- to be asked ---

  /** @throws FST_ERR_JOB_ENGINE_UNAVAILABLE at once when the store is away, after a while when it has gone silent */
  async ask<T> (question: (queue: Queue) => Promise<T>): Promise<T> {
    if (!this.reached) throw this.closing ? new FST_ERR_JOBS_CLOSED() : new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause: this.lastComplaint })
    const since = performance.now()
    let timer: NodeJS.Timeout | undefined
    let done = false
    const silence = new Promise<never>((_resolve, reject) => {
      const check = (): void => {
        if (done) return
        // Many questions at once may take long in all: what counts is whether any of them is answered.
        const silent = performance.now() - Math.max(since, this.answeredAt)
        if (silent >= PATIENCE) reject(new Error(`No answer for ${PATIENCE} ms`))
        // After a stall of the event loop a timer comes before the answers that wait in the socket; an immediate does not.
        else timer = setTimeout(setImmediate, PATIENCE - silent, check)
      }
      check()
    })
    const asking = Promise.race([question(this.queue!), silence]).catch((cause) => {
      // The engine numbers its own answers, such as that a job is gone.
      if (typeof cause.code === 'number') throw cause
      if (DATA_EXCEPTION.test(cause.code)) throw new FST_ERR_JOB_INVALID_TEXT(cause.message, { cause })
      // Whatever else goes wrong is the store's.
      throw new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause })
    }).finally(() => {
      done = true
      clearTimeout(timer)
      this.asked.delete(asking)
    })
    this.asked.add(asking)
    const answer = await asking
    this.answeredAt = performance.now()
    this.lastComplaint = undefined
    return answer
  }

  /** Tells every process of the fleet. Through the queue's own connection: the engine's producer would open another. */
  async publish (event: 'cancel' | 'heartbeat' | 'hello', jobId: string, more: Record<string, string> = {}): Promise<string> {
    return this.queue!.getBackend().publishEvent({ event, jobId, ...more }, 10_000)
  }

  // --- to be left ---

  /** Takes no more jobs. Resolves when those that run here have ended. */
  async stopWorking (): Promise<void> {
    this.closing = true
    await this.giveUp()
    await this.worker?.close()
  }

  /** Closing a connection that is lost, the engine would wait for its return. No longer tried, it ends soon. */
  private async giveUp (): Promise<void> {
    if (!this.reached) return
    for (const part of this.parts) await this.connection.givenUp(part.getBackend())
  }

  /** Leaves the store, within `timeout` ms whatever its state. */
  async close (timeout: number): Promise<void> {
    this.closing = true
    this.reached = false
    const over = sleep(timeout, undefined, { ref: false })
    // A store that hangs does not answer.
    await Promise.race([Promise.allSettled(this.asked), sleep(PATIENCE / 6, undefined, { ref: false }), over])
    await Promise.race([this.disconnect(), over])
    this.events.removeAllListeners()
  }

  private async disconnect (): Promise<void> {
    const parts = this.parts
    this.parts = []
    await Promise.all(parts.map(async (part) => {
      // Closing waits for the store; what it has not done soon is cut off.
      await Promise.race([part.close().catch(this.complain), sleep(PATIENCE / 6, undefined, { ref: false })])
      const backend = part.getBackend()
      const closed = backend.close(true).catch(this.complain)
      await this.connection.cut(backend)
      await closed
    }))
  }

  /** Once for each outage: every connection reports each of its attempts. */
  private readonly complain = (error: Error): void => {
    this.events.emit('unreachable')
    if (this.closing || error.message === this.lastComplaint?.message) return
    this.lastComplaint = error
    this.log.warn({ err: error }, 'The job engine reports a problem')
  }
}
