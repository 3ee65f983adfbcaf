import type { QueryResult } from 'pg'
import { FST_ERR_JOB_INVALID_OPTION } from '../shared/errors'

/** What is used of the caller's client. */
export interface TransactionClient {
  query: (text: string, values?: any[]) => Promise<QueryResult<any>>
}

/** What the option `transaction` must be. */
export const TRANSACTION = 'a client of pg in an open transaction, and jobs be stored in PostgreSQL'

// `now()` is when the transaction began, and outside of one when the statement did: so it is in a message that has no parameters.
const enter = (schema: string): string => `SELECT previous, now() <> statement_timestamp() AS open, set_config('search_path', '${schema}, ' || previous, true)
  FROM (SELECT current_setting('search_path') AS previous OFFSET 0) AS setting`
const LEAVE = "SELECT set_config('search_path', $1, true)"

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
    const { rows: [{ previous, open }] } = await client.query(enter(schema))
    if (open !== true) throw new FST_ERR_JOB_INVALID_OPTION('transaction', TRANSACTION, 'a client without a transaction')
    try {
      return await operation()
    } finally {
      // After an error of PostgreSQL's the transaction takes no statement any more, and the setting goes with it.
      await client.query(LEAVE, [previous]).catch(() => {})
    }
  }
  const result = (tails.get(client) ?? Promise.resolve()).then(run)
  tails.set(client, result.catch(() => {}))
  return result
}
