import type * as bullmq from 'bullmq'
import type pg from 'pg'
import { FST_ERR_JOB_INVALID_STORE } from '../shared/errors'
import { load } from '../shared/optional-peer'
import type { ConnectionEvents, StoreConnection } from './connection'
import { BOUNDED } from './held-names'
import type { Settings } from './options'
import { SharedPool } from './shared-pool'
import { withinTransaction, type TransactionClient } from './transactions'
import { sleep } from './sleep'

/** How long PostgreSQL may take to accept a connection, in ms. */
const CONNECTION_TIMEOUT = 5_000
/** How long connections may take to end by themselves, in ms. */
const END_TIMEOUT = 800
/** Connections for the queries of all queues. A server has a hundred unless it was told otherwise. */
const MAX_QUERIES = 4

/** What BullMQ says when no later attempt will help. */
const FATAL = ['SchemaMigrationRequiredError', 'SchemaVersionMismatchError', 'UnsupportedPostgresVersionError']

type Config = pg.PoolConfig & { schema?: string, skipVersionCheck?: boolean, migrate?: boolean, skipMigrations?: boolean }
interface Backend {
  schema: string
  connection: { schema: string, skipVersionCheck: boolean }
  run: (command: string, params: unknown[]) => Promise<unknown>
  query: (text: string, params: unknown[]) => Promise<unknown>
}

/** BullMQ's commands that take names. Names that open transactions hold must not keep connections for as long as those are open. */
const ADDING: Partial<Record<string, string>> = {
  add_job: `SELECT add_job($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS id FROM ${BOUNDED}`,
  add_flow: `SELECT id FROM ${BOUNDED}, LATERAL add_flow(CASE WHEN bounded.setting IS NOT NULL THEN $1::jsonb END) AS t(id)`
}

/** One pool for all queues. What listens, the events of a queue and its worker, keeps a connection of it each. */
export class PostgresConnection implements StoreConnection {
  readonly isPostgres = true
  readonly outage = undefined
  readonly pool: SharedPool
  readonly #engine: typeof bullmq
  readonly #events: ConnectionEvents
  readonly #callersPool: pg.Pool | undefined
  readonly #config: Config
  readonly #schema: string

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (engine: typeof bullmq, target: Settings['connection'], events: ConnectionEvents) {
    this.#engine = engine
    this.#events = events
    const isPool = engine.isPgPool(target)
    this.#callersPool = isPool ? target as unknown as pg.Pool : undefined
    this.#config = isPool ? {} : typeof target === 'string' ? { connectionString: target } : target as Config
    if (!isPool) load('pg')
    this.#schema = this.#config.schema ?? engine.DEFAULT_SCHEMA
    this.pool = new SharedPool()
  }

  get options (): { connection: bullmq.ConnectionOptions } {
    return { connection: this.pool as unknown as bullmq.ConnectionOptions }
  }

  get heardAt (): number {
    return this.pool.heardAt
  }

  readonly backend: bullmq.BackendFactory = (name, opts, more) => {
    const backend = this.#engine.createPostgresBackend(name, opts as never, more)
    const internals = backend as unknown as Backend
    const { connection, run } = internals
    // Given a pool, BullMQ takes its own schema for granted.
    Object.assign(connection, { schema: this.#schema, skipVersionCheck: this.#config.skipVersionCheck === true })
    internals.schema = this.#schema
    internals.run = (command, params) => {
      const text = ADDING[command]
      return text === undefined ? run.call(backend, command, params) : internals.query(text, params)
    }
    return backend
  }

  async open (queues: number, worked: number): Promise<void> {
    const listening = queues + worked
    if (this.#callersPool === undefined) this.pool.use(this.#createPool(listening), { isCallers: false, queries: Infinity })
    else this.pool.use(this.#callersPool, { isCallers: true, queries: sizeFor(this.#callersPool, listening) })
    this.pool.on('error', this.#events.onProblem)
    const client = await this.pool.connect().catch((error) => { throw explain(error) })
    try {
      await this.#prepare(client)
    } finally {
      client.release()
    }
  }

  #createPool (listening: number): pg.Pool {
    const { Pool } = load<typeof pg>('pg')
    const { schema, skipVersionCheck, migrate, skipMigrations, max = MAX_QUERIES, connectionTimeoutMillis = CONNECTION_TIMEOUT, options = '', ...config } = this.#config
    return new Pool({
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      ...config,
      max: max + listening,
      options: `${options} -c search_path=${this.#engine.quoteSchemaName(this.#schema)}`.trim(),
      // Not the pool's option of that name: it would also bound how long a query may wait for a connection to be free.
      Client: this.pool.clientClass(load<typeof pg>('pg').Client, connectionTimeoutMillis)
    })
  }

  async #prepare (client: pg.PoolClient): Promise<void> {
    const { skipVersionCheck, skipMigrations = false, migrate = this.#callersPool === undefined && !skipMigrations } = this.#config
    const engine = this.#engine as unknown as Record<'runMigrations' | 'assertSchemaCompatibility', (client: object, schema: string, options: object) => Promise<void>>
    try {
      // BullMQ's tables are made under a lock; a user who makes them in a deployment says `migrate: false`.
      await engine[migrate ? 'runMigrations' : 'assertSchemaCompatibility'](client, this.#schema, { skipVersionCheck })
    } catch (error) {
      const { name, message } = error as Error
      throw FATAL.includes(name) ? Object.assign(new FST_ERR_JOB_INVALID_STORE(message), { name }) : error
    }
    const { rows: [{ found }] } = await client.query("SELECT to_regclass('job') = to_regclass($1) AS found", [`${this.#engine.quoteSchemaName(this.#schema)}.job`])
    if (found === true) return
    throw new FST_ERR_JOB_INVALID_STORE(`the schema ${this.#schema} must come first in the connections' search_path: ${this.#callersPool === undefined
      ? `if a pooler such as PgBouncer drops it, ALTER ROLE … SET search_path = ${this.#schema}, public`
      : `make the pool with { options: '-c search_path=${this.#schema},public' }`}`)
  }

  /** Runs what BullMQ asks of PostgreSQL within the caller's transaction: invisible until its commit, gone with its rollback. */
  within<T> (client: TransactionClient, operation: () => Promise<T>): Promise<T> {
    return withinTransaction(client, this.#engine.quoteSchemaName(this.#schema), () => this.pool.within(client, operation))
  }

  async adopt (): Promise<void> {}

  async reconnectsStopped (): Promise<void> {}

  async close (): Promise<void> {
    await Promise.race([this.pool.end(), sleep(END_TIMEOUT, undefined, { ref: false })])
    // A server that hangs does not end its connections, and they would hold the process.
    this.pool.destroy()
  }
}

/** How many connections the pool has for queries. */
function sizeFor ({ options: { max } }: pg.Pool, listening: number): number {
  if (max > listening) return max - listening
  throw new FST_ERR_JOB_INVALID_STORE(`the pool needs a max of ${listening + 1} or more: ${listening} connections listen`)
}

/** PgBouncer refuses parameters that it does not know. */
function explain (error: Error): Error {
  if (!/unsupported startup parameter/.test(error.message)) return error
  return new FST_ERR_JOB_INVALID_STORE(`PgBouncer refuses the connection (${error.message}): set ignore_startup_parameters = options in pgbouncer.ini, and ALTER ROLE … SET search_path = bullmq, public in PostgreSQL`)
}
