import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type * as bullmq from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import { FST_ERR_JOB_ENGINE_UNAVAILABLE } from '../errors'
import { load } from './load'
import { given, type Settings } from './options'
import type { Payload, Stored } from './wire'

export type Queue = bullmq.Queue<Payload, unknown, string>
export type Processor = (job: Stored, token?: string) => Promise<unknown>
type Connected = Pick<bullmq.QueueBase, 'on' | 'waitUntilReady' | 'close' | 'getBackend'>

/** How long the store may take to answer, and how long a boot waits for it, in ms. */
const PATIENCE = 5_000
/** How long between two attempts to reach it, in ms. */
const RETRY_INTERVAL = 500

/** What no later attempt will change: a PostgreSQL without the engine's tables, or of the wrong version. */
const FATAL = ['SchemaMigrationRequiredError', 'SchemaVersionMismatchError', 'UnsupportedPostgresVersionError']

// A connection that asks fails at once when the store is away; one that works or listens waits for its return.
const ASKING = { enableOfflineQueue: false, maxRetriesPerRequest: 1 }
const WAITING = { maxRetriesPerRequest: null }
const retryStrategy = (times: number): number => Math.min(times * 100, 1_000)

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
  private lastComplaint = ''
  private answeredAt = 0
  private readonly engine: typeof bullmq
  private readonly postgres: boolean

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (private readonly settings: Settings, private readonly log: FastifyBaseLogger, private readonly processor: Processor | undefined) {
    this.engine = load<typeof bullmq>('bullmq', 'bullmq')
    const { connection } = settings
    const isPool = this.engine.isPgPool(connection)
    this.postgres = isPool || (typeof connection === 'string'
      ? connection.startsWith('postgres')
      : 'connectionString' in connection || 'database' in connection || 'user' in connection)
    if (this.postgres && !isPool) load('pg', 'pg')
    if (!this.postgres && !isClient(connection)) load('ioredis', 'ioredis')
  }

  // --- to be there ---

  /**
   * Resolves when the store is reached or the first attempt has failed; goes on trying in the background.
   * @throws what says that no attempt will succeed
   */
  async open (): Promise<void> {
    const firstComplaint = new Promise((resolve) => this.events.once('unreachable', resolve))
    await Promise.race([this.reach(), firstComplaint, sleep(PATIENCE, undefined, { ref: false })])
  }

  /** From now on the worker takes jobs. */
  work (): void {
    this.working = true
    if (this.reached) this.worker?.run().catch(this.complain)
  }

  /** Each time from the start: what the engine makes for PostgreSQL stays failed once it failed to connect. */
  private async reach (): Promise<void> {
    while (!this.closing) {
      try {
        await this.connect()
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
    const { queue: name, prefix, telemetry, limiter, removeOnComplete, removeOnFail, concurrency, lockDuration, stalledInterval, maxStalledCount } = this.settings
    const backend = (this.postgres ? this.engine.createPostgresBackend : undefined) as undefined
    const common = given({ prefix, telemetry })

    this.queue = await this.add(new this.engine.Queue(name, {
      ...common, connection: this.connection(ASKING), defaultJobOptions: { removeOnComplete, removeOnFail }
    }, backend))
    const queueEvents = await this.add(new this.engine.QueueEvents(name, { ...common, connection: this.connection(WAITING) }, backend))
    await this.listen(queueEvents)
    if (this.processor === undefined) return
    this.worker = await this.add(new this.engine.Worker(name, this.processor, {
      ...common,
      ...given({ limiter }),
      connection: this.connection(WAITING),
      concurrency,
      lockDuration,
      stalledInterval,
      maxStalledCount,
      // In s. PostgreSQL does not announce a job that was handed back: it is found at the next look.
      drainDelay: 0.3,
      runRetryDelay: 1_000,
      autorun: false
    }, backend))
    this.worker.on('lockRenewalFailed', (ids) => this.events.emit('lost', ids))
  }

  private async add<T extends Connected> (part: T): Promise<T> {
    this.parts.push(part)
    part.on('error', this.complain)
    await part.waitUntilReady()
    return part
  }

  /** The first events after the connection can be lost: it listens once it has seen its own. */
  private async listen (queueEvents: bullmq.QueueEvents): Promise<void> {
    const id = randomUUID()
    const heard = new AbortController()
    const on = queueEvents.on.bind(queueEvents) as (event: string, listener: (args: { jobId: string }) => void) => void
    on('hello', ({ jobId }) => { if (jobId === id) heard.abort() })
    for (const event of ['completed', 'failed', 'cancel', 'heartbeat']) on(event, (args) => this.events.emit(event, args))
    while (!heard.signal.aborted && !this.closing) {
      await this.publish('hello', id)
      await sleep(20, undefined, { signal: heard.signal }).catch(() => {})
    }
  }

  private connection (options: typeof ASKING | typeof WAITING): bullmq.ConnectionOptions {
    const { connection } = this.settings
    if (this.engine.isPgPool(connection) || isClient(connection)) return connection as bullmq.ConnectionOptions
    if (this.postgres) {
      const config = typeof connection === 'string' ? { connectionString: connection } : connection
      // BullMQ's tables are made under a lock; a user who makes them in a deployment says `migrate: false`. There are three
      // pools, and a server has a hundred connections unless it was told otherwise.
      return { ...!('skipMigrations' in config) && { migrate: true }, max: 4, connectionTimeoutMillis: PATIENCE, ...config } as bullmq.ConnectionOptions
    }
    const config = typeof connection === 'string' ? { url: connection } : connection
    return { retryStrategy, ...config, ...options } as bullmq.ConnectionOptions
  }

  // --- to be asked ---

  /** @throws FST_ERR_JOB_ENGINE_UNAVAILABLE at once when the store is away, after a while when it has gone silent */
  async ask<T> (question: (queue: Queue) => Promise<T>): Promise<T> {
    if (!this.reached) throw new FST_ERR_JOB_ENGINE_UNAVAILABLE()
    const since = performance.now()
    let timer: NodeJS.Timeout | undefined
    let done = false
    const silence = new Promise<never>((_resolve, reject) => {
      const check = (): void => {
        if (done) return
        const silent = performance.now() - Math.max(since, this.answeredAt)
        if (silent >= PATIENCE) reject(new Error(`No answer for ${PATIENCE} ms`))
        // After a stall of the event loop a timer comes before the answers that wait in the socket; an immediate does not.
        else timer = setTimeout(setImmediate, PATIENCE - silent, check)
      }
      check()
    })
    return Promise.race([question(this.queue!), silence]).then((answer) => {
      // Many questions at once may take long in all: what counts is whether any of them is answered.
      this.answeredAt = performance.now()
      this.lastComplaint = ''
      return answer
    }, (cause) => {
      // The engine numbers its own answers, such as that a job is gone; whatever else goes wrong is the store's.
      throw typeof cause.code === 'number' ? cause : new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause })
    }).finally(() => {
      done = true
      clearTimeout(timer)
    })
  }

  /** Tells every process of the fleet. Through the queue's own connection: the engine's producer would open another. */
  async publish (event: 'cancel' | 'heartbeat' | 'hello', jobId: string, more: Record<string, string> = {}): Promise<void> {
    await this.queue!.getBackend().publishEvent({ event, jobId, ...more }, 10_000)
  }

  // --- to be left ---

  /** Takes no more jobs. Resolves when those that run here have ended. */
  async stopWorking (): Promise<void> {
    this.working = false
    this.closing = true
    await this.worker?.close()
  }

  /** Leaves the store, within `timeout` ms whatever its state. */
  async close (timeout: number): Promise<void> {
    this.closing = true
    this.reached = false
    await Promise.race([this.disconnect(), sleep(timeout, undefined, { ref: false })])
    this.events.removeAllListeners()
  }

  private async disconnect (): Promise<void> {
    const parts = this.parts
    this.parts = []
    await Promise.all(parts.map(async (part) => {
      // Closing waits for the store; what it has not done soon is cut off.
      await Promise.race([part.close().catch(this.complain), sleep(PATIENCE / 6, undefined, { ref: false })])
      await part.getBackend().close(true).catch(this.complain)
    }))
  }

  /** Once for each outage: every connection reports each of its attempts. */
  private readonly complain = (error: Error): void => {
    this.events.emit('unreachable')
    if (this.closing || error.message === this.lastComplaint) return
    this.lastComplaint = error.message
    this.log.warn({ err: error }, 'The job engine reports a problem')
  }
}

function isClient (connection: object | string): boolean {
  return typeof (connection as { duplicate?: unknown }).duplicate === 'function'
}
