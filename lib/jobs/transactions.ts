import type { QueryResult } from 'pg'
import { FST_ERR_JOB_INVALID_OPTION } from '../shared/errors'
import { timers } from '../shared/timers'
import { RESPONSE_TIMEOUT } from './requests'

/** What is used of the caller's client. */
export interface TransactionClient {
  query: (text: string, values?: any[]) => Promise<QueryResult<any>>
}

/** What the option `transaction` must be. */
export const TRANSACTION = 'a client of pg in an open transaction, and jobs be stored in PostgreSQL'

// Each add is undone by itself: what it is refused for does not abort the transaction, and no lock on a name is kept for it.
const SETTINGS = "unnest(ARRAY['search_path', 'lock_timeout']) AS name"
const enter = (schema: string): string => `SAVEPOINT fastify_tasks; SELECT set_config('fastify_tasks.' || name, current_setting(name), true) FROM ${SETTINGS};
  SELECT set_config('search_path', '${schema}, ' || current_setting('search_path'), true) AS path`
const LEAVE = `RELEASE fastify_tasks; SELECT set_config(name, current_setting('fastify_tasks.' || name), true) FROM ${SETTINGS}`
const UNDO = 'ROLLBACK TO fastify_tasks; RELEASE fastify_tasks'

/** What PostgreSQL says of a transaction that is none for jobs. What else it says is for the caller to act on. */
const UNFIT: Partial<Record<string, string>> = {
  '25P01': 'a client without a transaction',
  25006: 'a transaction that is read-only',
  42883: 'one of another database'
}

/** Per client the last of what is to be done within its transaction: one after the other, for the search_path is that of all. */
const tails = new WeakMap<TransactionClient, Promise<unknown>>()

export function isTransactionClient (value: unknown): value is TransactionClient {
  return typeof (value as TransactionClient | null | undefined)?.query === 'function'
}

/**
 * Runs something within the caller's transaction, with the schema first in its search_path.
 * @param schema quoted
 * @throws FST_ERR_JOB_INVALID_OPTION when there is none that is fit for it; what PostgreSQL says, for the caller to act on
 */
export function withinTransaction<T> (client: TransactionClient, schema: string, operation: () => Promise<T>): Promise<T> {
  const run = async (): Promise<T> => {
    await entered(client, schema)
    try {
      const result = await operation()
      await client.query(LEAVE)
      return result
    } catch (error) {
      await client.query(UNDO).catch(() => {})
      throw toOptionError(error as Error)
    }
  }
  const result = (tails.get(client) ?? Promise.resolve()).then(run)
  tails.set(client, result.catch(() => {}))
  return result
}

/** Those that did not answer, until they do. */
const silent = new WeakSet<TransactionClient>()

/** Resolves when the client is in the savepoint. One that was never connected would not answer, ever. */
async function entered (client: TransactionClient, schema: string): Promise<void> {
  if (silent.has(client)) throw invalid(SILENT)
  const entering = (async () => client.query(enter(schema)))().then((answers) => {
    const path: unknown = (answers as unknown as QueryResult[] | undefined)?.[2]?.rows[0].path
    if (typeof path !== 'string') throw invalid('something else')
    if (!silent.delete(client)) return
    // Nobody waits for it any more.
    client.query(UNDO).catch(() => {})
  }).catch((error) => { throw typeof error.code === 'string' ? toOptionError(error) : invalid(`a client that says: ${error.message}`) })
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_resolve, reject) => {
    timer = timers.setTimeout(() => {
      silent.add(client)
      reject(invalid(SILENT))
    }, RESPONSE_TIMEOUT, undefined)
  })
  await Promise.race([entering, late]).finally(() => timers.clearTimeout(timer))
}

const SILENT = 'a client that does not answer'

function toOptionError (error: Error & { code?: unknown }): Error {
  const problem = UNFIT[String(error.code)]
  return problem === undefined ? error : invalid(problem)
}

function invalid (found: string): Error {
  return new FST_ERR_JOB_INVALID_OPTION('transaction', TRANSACTION, found)
}
