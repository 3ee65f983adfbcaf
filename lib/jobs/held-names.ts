import { internalsOf } from './backend-internals'
import type { Queue } from './engine'

// In PostgreSQL an open transaction that has added a job holds its name: whether that is taken is open until the end of it.

/** What bounds how long the statement that has it in its FROM waits for locks. A job that ends holds its name for a moment, too. */
export const BOUNDED = "(SELECT set_config('lock_timeout', '1s', true) AS setting OFFSET 0) AS bounded"

const LOCK_NOT_AVAILABLE = '55P03'

/** Whether the store has refused a name that somebody holds. */
export function isHeld (error: unknown): boolean {
  return (error as { code?: unknown }).code === LOCK_NOT_AVAILABLE
}

// BullMQ's own lock on a key.
const HELD = "SELECT key FROM unnest($2::text[]) AS key WHERE NOT pg_try_advisory_xact_lock_shared(hashtext('bullmq:dedup:' || $1 || ':' || key))"

/** The keys of names that somebody holds at this moment. */
export async function heldKeys (engineQueue: Queue, keys: string[]): Promise<Set<string>> {
  const { rows } = await internalsOf(engineQueue).connection.pool!.query(HELD, [engineQueue.name, keys])
  return new Set(rows.map(({ key }) => key))
}
