import { internalsOf } from './backend-internals'
import { isOurs } from './ended'
import type { Queue } from './engine'
import { startsOf, type Stored } from './serialization'

/** For how long a job is kept from the workers that is ended here, in ms: then one of them ends it. */
const LOCK_DURATION = 10_000

/** Whether nobody may start the job any more, and nobody has. */
export function isOverdue (job: Stored | undefined): job is Stored {
  return isOurs(job) && typeof job.finishedOn !== 'number' && startsOf(job) === 0 && isTooLate(job)
}

export function isTooLate ({ data: { expiresAt } }: Stored): boolean {
  return typeof expiresAt === 'number' && Date.now() >= expiresAt
}

/**
 * Takes a job that waits, as a worker would take it that came to it now: past all others of the queue, and from a paused one too. Only
 * if nobody has taken it since it was read, or who did so has died before it was ended: so whoever has it is the only one.
 */
export async function takeWaiting (engineQueue: Queue, { id, attemptsStarted }: Stored, token: string): Promise<boolean> {
  const backend = internalsOf(engineQueue)
  const { pool } = backend.connection
  if (pool !== undefined) {
    const { rowCount } = await pool.query(SQL, [engineQueue.name, id, token, Date.now() + LOCK_DURATION, attemptsStarted, Date.now()])
    return rowCount === 1
  }
  const client = await backend.client
  client.defineCommand(COMMAND, { numberOfKeys: 6, lua: LUA })
  const keys = [id!, 'delayed', 'prioritized', 'wait', 'paused', 'active'].map((type) => backend.toKey(type))
  return await client.runCommand(COMMAND, [...keys, id, attemptsStarted, token, LOCK_DURATION]) === 1
}

const SQL = `UPDATE job SET state = 'active', lock_token = $3, locked_until_ms = $4
  WHERE queue = $1 AND id = $2 AND attempts_started = $5
  AND (state IN ('waiting', 'delayed') OR (state = 'active' AND locked_until_ms < $6))`

const COMMAND = 'fastifyTasksTakeWaiting'

// Of the lists from their ends, where those lie that have waited for long.
const LUA = `if (redis.call('HGET', KEYS[1], 'ats') or '0') ~= ARGV[2] then return 0 end
if redis.call('ZREM', KEYS[2], ARGV[1]) + redis.call('ZREM', KEYS[3], ARGV[1]) == 0
  and redis.call('LREM', KEYS[4], -1, ARGV[1]) + redis.call('LREM', KEYS[5], -1, ARGV[1]) == 0
  and (redis.call('EXISTS', KEYS[1] .. ':lock') == 1 or redis.call('LREM', KEYS[6], -1, ARGV[1]) == 0) then return 0 end
redis.call('LPUSH', KEYS[6], ARGV[1])
redis.call('SET', KEYS[1] .. ':lock', ARGV[3], 'PX', ARGV[4])
return 1`
