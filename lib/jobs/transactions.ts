import type { QueryResult } from 'pg'
import { FST_ERR_JOB_INVALID_OPTION } from '../shared/errors'

/** What is used of the caller's client. */
export interface TransactionClient {
  query: (text: string, values?: any[]) => Promise<QueryResult<any>>
}

/** What the option `transaction` must be. */
export const TRANSACTION = 'a client of pg in an open transaction, and jobs be stored in PostgreSQL'

// Each add is undone by itself: what it is refused for does not abort the transaction, and no lock on a name is kept for it.
const enter = (schema: string): string => `SAVEPOINT fastify_tasks; SELECT set_config('fastify_tasks.' || name, setting, true) FROM pg_settings
  WHERE name IN ('search_path', 'lock_timeout'); SELECT set_config('search_path', '${schema}, ' || current_setting('search_path'), true)`
const LEAVE = "RELEASE fastify_tasks; SELECT set_config(name, current_setting('fastify_tasks.' || name), true) FROM unnest(ARRAY['search_path', 'lock_timeout']) AS name"
const UNDO = 'ROLLBACK TO fastify_tasks; RELEASE fastify_tasks'
const NO_TRANSACTION = '25P01'

/** Per client the last of what is to be done within its transaction: one after the other, for the search_path is that of all. */
const tails = new WeakMap<TransactionClient, Promise<unknown>>()

export function isTransactionClient (value: unknown): value is TransactionClient {
  return typeof (value as TransactionClient | null | undefined)?.query === 'function'
}

/**
 * Runs something within the caller's transaction, with the schema first in its search_path.
 * @param schema quoted
 * @throws FST_ERR_JOB_INVALID_OPTION when there is none; what PostgreSQL says, for the caller to act on
 */
export function withinTransaction<T> (client: TransactionClient, schema: string, operation: () => Promise<T>): Promise<T> {
  const run = async (): Promise<T> => {
    await client.query(enter(schema)).catch((error) => {
      throw error.code === NO_TRANSACTION ? new FST_ERR_JOB_INVALID_OPTION('transaction', TRANSACTION, 'a client without a transaction') : error
    })
    try {
      const result = await operation()
      await client.query(LEAVE)
      return result
    } catch (error) {
      await client.query(UNDO).catch(() => {})
      throw error
    }
  }
  const result = (tails.get(client) ?? Promise.resolve()).then(run)
  tails.set(client, result.catch(() => {}))
  return result
}
