import type * as bullmq from 'bullmq'
import { load } from '../shared/optional-peer'
import { timers } from '../shared/timers'
import { logLine } from '../shared/thrown'
import { isClient, type ConnectionEvents, type StoreConnection } from './connection'
import type { Settings } from './options'
import { sleep } from './sleep'

/** What is used of a client for Redis, as BullMQ adapts it. */
interface Client {
  status: string
  isCluster?: boolean
  stream?: NodeJS.ReadableStream
  info: () => Promise<string>
  disconnect: () => void
  on: (event: string, listener: () => void) => void
  off: (event: string, listener: () => void) => void
}

/** What BullMQ's objects for Redis hold, and do not show. */
interface Backend { connection: Connection, blockingConnection?: Connection }
interface Connection { client: Promise<Client>, version: string, dbType: string, capabilities: object }

/** The version that BullMQ recommends. */
const RECOMMENDED = [6, 2, 0]

/** One client for the commands of all queues. BullMQ duplicates it for each that blocks: the events of a queue, and its worker. */
export class RedisConnection implements StoreConnection {
  readonly isPostgres = false
  readonly backend = undefined
  heardAt = 0
  readonly #engine: typeof bullmq
  readonly #target: Settings['connection']
  readonly #events: ConnectionEvents
  readonly #isCallers: boolean
  #connection: bullmq.RedisConnection | undefined = undefined
  #client: Client | undefined = undefined
  #blocking = new Set<Client>()
  #server: { version: string, dbType: string, capabilities: object } | undefined = undefined
  #warned = false

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (engine: typeof bullmq, target: Settings['connection'], events: ConnectionEvents) {
    this.#engine = engine
    this.#target = target
    this.#events = events
    this.#isCallers = isClient(target)
    if (!this.#isCallers) load('ioredis')
  }

  get options (): { connection: bullmq.ConnectionOptions, skipVersionCheck: true } {
    // BullMQ would look at the server for each connection, and print what it thinks of it.
    return { connection: this.#client as unknown as bullmq.ConnectionOptions, skipVersionCheck: true }
  }

  get outage (): Error | undefined {
    const { status, isCluster } = this.#client!
    const isThere = status === 'ready' || (status === 'connect' && isCluster === true)
    return isThere ? undefined : new Error(`The connection to Redis is ${status}`)
  }

  async open (): Promise<void> {
    const connection = this.#connection = new this.#engine.RedisConnection(this.#clientOrOptions(), {
      shared: this.#isCallers, blocking: false, skipVersionCheck: true
    })
    connection.on('error', this.#events.onProblem)
    connection.on('close', this.#events.onLost)
    const client = this.#client = await connection.client as unknown as Client
    this.#listen()
    client.on('ready', this.#listen)
    this.#server = this.#examine(await client.info())
  }

  #clientOrOptions (): bullmq.ConnectionOptions {
    const target = this.#target
    if (this.#isCallers) return target as bullmq.ConnectionOptions
    const config = typeof target === 'string' ? { url: target } : target
    const { retryStrategy = (times) => Math.min(times * 100, 1_000) } = config as { retryStrategy?: (times: number) => number | null }
    // A worker's commands wait for the return of a Redis that is away; the engine sees to it that those of a caller do not.
    return {
      ...config,
      maxRetriesPerRequest: null,
      retryStrategy: (times: number) => this.#events.isClosing() ? null : retryStrategy(times)
    } as bullmq.ConnectionOptions
  }

  /** Each time that it connects, a client has another socket. */
  readonly #listen = (): void => {
    this.#client!.stream?.on('data', () => { this.heardAt = timers.now() })
  }

  /** What BullMQ would find out by itself, and a warning for what it would print. */
  #examine (info: string): { version: string, dbType: string, capabilities: object } {
    const find = (key: string): string | undefined => new RegExp(`^${key}:(.*?)\r?$`, 'm').exec(info)?.[1]
    const dbType = ['dragonfly', 'valkey'].find((type) => info.includes(`${type}_version:`)) ?? 'redis'
    const version = find(`${dbType}_version`) ?? RECOMMENDED.join('.')
    const isBelow = (...minimum: number[]): boolean => dbType === 'redis' && compareVersions(version, minimum) < 0
    const { log } = this.#events
    const policy = find('maxmemory_policy') ?? 'noeviction'
    if (!this.#warned && policy !== 'noeviction') {
      logLine(log, 'warn', 'Redis evicts keys when its memory is full, and jobs with them: set its maxmemory-policy to noeviction', { policy })
    }
    if (!this.#warned && isBelow(...RECOMMENDED)) logLine(log, 'warn', `BullMQ recommends Redis ${RECOMMENDED.join('.')} or later`, { version })
    this.#warned = true
    return { version, dbType, capabilities: { canDoubleTimeout: !isBelow(6, 0, 0), canBlockFor1Ms: !isBelow(7, 0, 8) } }
  }

  async adopt (backend: object): Promise<void> {
    const { connection, blockingConnection } = backend as Backend
    for (const one of [connection, blockingConnection]) {
      if (one === undefined) continue
      const client = await one.client
      if (client !== this.#client) this.#blocking.add(client)
      Object.assign(one, this.#server)
    }
  }

  async reconnectsStopped (): Promise<void> {
    for (const client of this.#own()) {
      while (['reconnecting', 'connecting'].includes(client.status)) await sleep(20)
    }
  }

  #own (): Client[] {
    return this.#isCallers || this.#client === undefined ? [...this.#blocking] : [...this.#blocking, this.#client]
  }

  /**
   * BullMQ, once it was told to close a connection, waits for an answer; where it got an error, it lets go of one that goes on
   * trying; and it may take one up again.
   */
  async close (): Promise<void> {
    const ended = this.#own().filter(({ status }) => status !== 'end').map((client) => new Promise<void>((resolve) => client.on('end', resolve)))
    for (const client of this.#own()) client.on('connecting', () => client.disconnect())
    for (const client of this.#blocking) {
      // Disconnected twice, it would hold the process for two seconds more.
      if (client.status !== 'end') client.disconnect()
    }
    this.#blocking.clear()
    this.#client?.off('ready', this.#listen)
    const connection = this.#connection
    connection?.off('close', this.#events.onLost)
    this.#connection = this.#client = undefined
    // Of a client of the caller's it takes off its listeners alone.
    await connection?.close(true)
    // Until then each has a timer, which would hold the process.
    await Promise.all(ended)
  }
}

function compareVersions (version: string, minimum: number[]): number {
  const parts = version.split('.').map(Number)
  for (const [i, part] of minimum.entries()) if (parts[i] !== part) return (parts[i] ?? 0) - part
  return 0
}
