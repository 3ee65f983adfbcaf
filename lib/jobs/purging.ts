import { internalsOf } from './backend-internals'
import type { Queue } from './engine'

// What BullMQ's function selects it deletes, also what was retried in between. It selects the same again here, and none of it changes.
const SQL = `WITH locked AS MATERIALIZED (
    SELECT FROM job WHERE queue = $1 AND state = $2::text::job_state AND finished_at_ms <= $3 ORDER BY seq LIMIT $4 FOR UPDATE
  ), total AS MATERIALIZED (SELECT count(*)::integer AS count FROM locked)
  SELECT id FROM total, LATERAL clean(CASE WHEN count > 0 THEN $1 END, $2::text, $3, count) AS cleaned(id)`

const DEADLOCK = '40P01'
/** A worker that removes old jobs itself may lock the same rows in another order. */
const TRIES = 5

/** Removes jobs that have ended. @returns how many */
export async function removeEnded (engineQueue: Queue, query: { state: string, before: number, limit: number }, tries = TRIES): Promise<number> {
  const { state, before, limit } = query
  const { pool } = internalsOf(engineQueue).connection
  if (pool === undefined) return (await engineQueue.getBackend().cleanJobsByState(state, before, limit)).length
  try {
    return (await pool.query(SQL, [engineQueue.name, state, before, limit])).rowCount
  } catch (error) {
    if ((error as { code?: unknown }).code !== DEADLOCK || tries === 1) throw error
    return removeEnded(engineQueue, query, tries - 1)
  }
}
