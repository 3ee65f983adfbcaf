import { setTimeout as sleep } from 'node:timers/promises'
import type * as bullmq from 'bullmq'
import { load } from '../shared/optional-peer'
import type { Settings } from './options'

/** How long PostgreSQL may take to accept a connection, in ms. */
const CONNECTION_TIMEOUT = 5_000

/** A command of the caller's fails at once when Redis is away; workers and listeners wait for its return. */
const REDIS = {
  command: { enableOfflineQueue: false, maxRetriesPerRequest: 1 },
  blocking: { maxRetriesPerRequest: null }
}

/** What the engine's backend for PostgreSQL has, and that for Redis. */
interface PostgresBackend { connection: bullmq.PostgresConnection }
interface RedisBackend { client: Promise<RedisClient>, blockingClient?: Promise<RedisClient> }
interface RedisClient { status: string, disconnect: () => void, on: (event: string, listener: () => void) => void }

/** Where the store is, as the user said it, and how the engine is to connect to it. */
export class ConnectionConfig {
  readonly isPostgres: boolean
  /** A client or a pool of the user's serves as it is. */
  private readonly isUsers: boolean

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (engine: typeof bullmq, private readonly target: Settings['connection']) {
    const isPool = engine.isPgPool(target)
    this.isUsers = isPool || typeof (target as { duplicate?: unknown }).duplicate === 'function'
    this.isPostgres = isPool || (typeof target === 'string'
      ? target.startsWith('postgres')
      : 'connectionString' in target || 'database' in target || 'user' in target)
    if (this.isUsers) return
    if (this.isPostgres) load('pg')
    else load('ioredis')
  }

  /** What the engine is to connect with. A connection to Redis that is lost is tried again until `isClosing`. */
  options (purpose: 'command' | 'blocking', isClosing: () => boolean): bullmq.ConnectionOptions {
    const { target } = this
    if (this.isUsers) return target as bullmq.ConnectionOptions
    if (this.isPostgres) {
      const config = typeof target === 'string' ? { connectionString: target } : target
      // BullMQ's tables are made under a lock; a user who makes them in a deployment says `migrate: false`. There are three
      // pools, and a server has a hundred connections unless it was told otherwise.
      return { ...!('skipMigrations' in config) && { migrate: true }, max: 4, connectionTimeoutMillis: CONNECTION_TIMEOUT, ...config } as bullmq.ConnectionOptions
    }
    const config = typeof target === 'string' ? { url: target } : target
    const { retryStrategy = (times) => Math.min(times * 100, 1_000) } = config as { retryStrategy?: (times: number) => number | null }
    return { ...config, ...REDIS[purpose], retryStrategy: (times) => isClosing() ? null : retryStrategy(times) } as bullmq.ConnectionOptions
  }

  /**
   * The engine takes all listeners off the connection that it hears PostgreSQL through, and only then ends it: what the server
   * says in between, such as that it shuts down too, would be an unhandled error.
   */
  keepErrorListeners (backend: object): void {
    if (!this.isPostgres) return
    const { connection } = backend as PostgresBackend
    const connect = connection.getListenClient.bind(connection)
    connection.getListenClient = async () => {
      const client = await connect()
      client.removeAllListeners = () => client
      return client
    }
  }

  /** Resolves when no connection to Redis is being tried again. */
  async reconnectsStopped (backend: object): Promise<void> {
    for (const client of await this.clients(backend)) {
      while (['reconnecting', 'connecting'].includes(client.status)) await sleep(20)
    }
  }

  /**
   * Ends the connections to Redis for good. The engine, once it was told to close them, waits for an answer; where it got an
   * error, it lets go of a connection that goes on trying; and it may take one up again.
   */
  async disconnect (backend: object): Promise<void> {
    for (const client of await this.clients(backend)) {
      client.on('connecting', () => client.disconnect())
      // Told twice, it would hold the process for two seconds more.
      if (client.status !== 'end') client.disconnect()
    }
  }

  /** Those that the engine has made and that were there. Of the others nothing is known but a promise. */
  private async clients (backend: object): Promise<RedisClient[]> {
    if (this.isPostgres || this.isUsers) return []
    const { client, blockingClient } = backend as RedisBackend
    const clients = await Promise.all([client, blockingClient].map((one) => Promise.race([one, undefined]).catch(() => undefined)))
    return clients.filter((one) => one !== undefined)
  }
}
