import type * as bullmq from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from './options'
import { PostgresConnection } from './postgres'
import { RedisConnection } from './redis'
import type { TransactionClient } from './transactions'

/** What the queues of a process share to reach the store, be it Redis or PostgreSQL. */
export interface StoreConnection {
  readonly isPostgres: boolean
  /** Options for BullMQ's queues, events and workers: the connection to use, and what goes with it. */
  readonly options: object & { connection: bullmq.ConnectionOptions }
  /** Makes what BullMQ's objects reach the store with; left out, BullMQ's own. */
  readonly backend: bullmq.BackendFactory | undefined
  /** When the store last sent anything, as `timers.now()` has it. */
  readonly heardAt: number
  /** Why the store is known to be away. */
  readonly outage: Error | undefined

  /**
   * Resolves when the store is reached.
   * @param queues how many will be opened, and how many of them are worked
   * @throws what keeps it from being reached; FST_ERR_JOB_INVALID_STORE when no later attempt will change that
   */
  open (queues: number, worked: number): Promise<void>
  /** Does something within a transaction of the caller's, where the store has any. */
  readonly within?: <T>(client: TransactionClient, operation: () => Promise<T>) => Promise<T>
  /** Takes over the connections that BullMQ has made for one of its objects. */
  adopt (backend: object): Promise<void>
  /** Resolves when no lost connection is being tried again. */
  reconnectsStopped (): Promise<void>
  /** Ends every connection that is not the caller's own, whatever state the store is in. */
  close (): Promise<void>
}

/** What a connection reports to the engine. */
export interface ConnectionEvents {
  log: FastifyBaseLogger
  /** Something went wrong; it is tried again. */
  onProblem: (error: Error) => void
  /** What has been asked of the store and not been answered will not be. */
  onLost: () => void
  /** Whether lost connections are no longer to be tried again. */
  isClosing: () => boolean
}

/** @throws FST_ERR_JOB_MISSING_PACKAGE */
export function createConnection (engine: typeof bullmq, settings: Settings, events: ConnectionEvents): StoreConnection {
  const { connection: target } = settings
  const isPostgres = engine.isPgPool(target) || (typeof target === 'string'
    ? target.startsWith('postgres')
    : !isClient(target) && ('connectionString' in target || 'database' in target || 'user' in target))
  return isPostgres ? new PostgresConnection(engine, target, events) : new RedisConnection(engine, target, events)
}

/** Whether it is a client for Redis of the caller's. */
export function isClient (target: Settings['connection']): boolean {
  return typeof (target as { duplicate?: unknown }).duplicate === 'function'
}
