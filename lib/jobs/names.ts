import { createHash } from 'node:crypto'
import { internalsOf } from './backend-internals'
import type { Engine, Queue } from './engine'
import { isOurs } from './ended'
import { BOUNDED, isHeld } from './held-names'
import type { Outcomes } from './outcomes'
import { startsOf, type Stored } from './serialization'
import { startsBefore } from './taker'

// A name belongs to the job that has BullMQ's deduplication key of it. BullMQ gives the key when a job is added with it, and
// takes it back when the job ends or is removed. Nothing of it gives the key to a job that is there already.

/** Ids that this plugin gives. Of other jobs it is not known whether they have their keys; those of a scheduler's ticks have none. */
const OUR_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const TICK = /^repeat:/

/** In bytes. PostgreSQL's index of keys holds some 2,700, of which a queue's name has a part. */
const MAX_KEY = 1_000
const HASHED = 'sha256:'

/** What BullMQ knows a name by: the name itself, unless it is longer than a store's index holds, or no store's text. */
export function keyOf (name: string): string {
  if (Buffer.byteLength(name) <= MAX_KEY && name.isWellFormed() && !name.includes('\0') && !name.startsWith(HASHED)) return name
  return HASHED + createHash('sha256').update(name, 'utf16le').digest('hex')
}

const ENDED: readonly string[] = ['completed', 'failed']

/** What `isFinished` of BullMQ's backend says. Unlike the state of a job, its cost does not grow with the number of those that wait. */
export const LIVE = 0
export const GONE = -1
export const COMPLETED = 1

/** A record and the state that it was read in, of one and the same moment. */
export interface Read { stored: Stored, state: string }

export function isEnded (state: string): boolean {
  return ENDED.includes(state)
}

/** Of one that was never started the state is `waiting`, whatever it waits for. @returns `undefined` if there is no such job, or one that this plugin has not made */
export async function readJob (engineQueue: Queue, id: string): Promise<Read | undefined> {
  let starts: number | undefined
  // A record that never agrees with its state is broken, and none of ours.
  for (let i = 0; i < 10; i++) {
    const stored: Stored | undefined = await engineQueue.getJob(id)
    if (!isOurs(stored)) return undefined
    // Redis would look for it in the whole list of those that wait.
    if (typeof stored.processedOn !== 'number' && typeof stored.finishedOn !== 'number') return { stored, state: 'waiting' }
    const state: string = await engineQueue.getJobState(id)
    if (state === 'unknown') return undefined
    // It ended, or began anew, between the two answers: its outcome may be in neither.
    if (isEnded(state) !== (typeof stored.finishedOn === 'number')) continue
    // It was put back between them, by a process without its kind: only a second look tells whether that is discounted.
    if (state === 'active' || startsBefore(stored) === startsOf(stored) || startsOf(stored) === starts) return { stored, state }
    starts = startsOf(stored)
  }
  return undefined
}

/** Gives the key of its name to a job. @returns `false` if one has it, be it the job itself */
async function createKey (engineQueue: Queue, name: string, id: string): Promise<boolean> {
  const key = keyOf(name)
  const backend = internalsOf(engineQueue)
  const { pool } = backend.connection
  if (pool === undefined) return await (await backend.client).set(backend.toKey(`de:${key}`), id, 'NX') === 'OK'
  try {
    return (await pool.query(`INSERT INTO dedup (queue, dedup_id, job_id) SELECT $1, $2, $3 FROM ${BOUNDED} ON CONFLICT DO NOTHING`, [engineQueue.name, key, id])).rowCount === 1
  } catch (error) {
    if (isHeld(error)) return false
    throw error
  }
}

/** The same. @returns `false` if another has it */
async function takeKey (engineQueue: Queue, name: string, id: string): Promise<boolean> {
  return await createKey(engineQueue, name, id) || await holderOf(engineQueue, name) === id
}

/** The id of the job that has the key of the name. */
export function holderOf (engineQueue: Queue, name: string): Promise<string | null> {
  return engineQueue.getDeduplicationJobId(keyOf(name))
}

/** How long a retry may take, in ms: it keeps the name of a job that is not live yet. */
const RETRY_TIMEOUT = 10_000

/** Of one that has ended. Whoever began the retry may have seen it before an earlier one. */
function isBeingRetried ({ data, attemptsStarted, finishedOn = 0 }: Stored): boolean {
  const { at, starts } = data.retrying ?? { at: 0, starts: 0 }
  return (starts === attemptsStarted || finishedOn < at) && Date.now() < at + RETRY_TIMEOUT
}

/** Takes the key of the name back from a job that is not live: it was given by {@link claimName}, or the record is gone. @returns whether it did */
async function freeName (engineQueue: Queue, name: string): Promise<boolean> {
  const id = await holderOf(engineQueue, name)
  if (id === null) return false
  if (await engineQueue.getBackend().isFinished(id) === LIVE) return false
  const stored: Stored | undefined = await engineQueue.getJob(id)
  if (isOurs(stored) && isBeingRetried(stored)) return false
  return await engineQueue.getBackend().removeDeduplicationKey(keyOf(name), id) > 0
}

/**
 * Whether an add that this job has refused may be tried again: it had ended by the time `since`, or was overdue and has ended now, or
 * BullMQ did not know that its name was to be freed.
 */
export async function mayAddAgain (engineQueue: Queue, name: string, holder: string, since: number): Promise<boolean> {
  if (await freeName(engineQueue, name)) return true
  const stored: Stored | undefined = await engineQueue.getJob(holder)
  if (!isOurs(stored) || typeof stored.finishedOn !== 'number' || isBeingRetried(stored)) return false
  return Math.min(stored.finishedOn, stored.data.expiresAt ?? Infinity) < since || stored.deduplicationId !== keyOf(name)
}

/** Makes the job the one of its name. @returns `false` if the name belongs to another live job */
export async function claimName (engineQueue: Queue, { id, data: { name } }: Stored): Promise<boolean> {
  if (await takeKey(engineQueue, name, id!)) return true
  await freeName(engineQueue, name)
  return takeKey(engineQueue, name, id!)
}

/**
 * Gives its name to a job that has ended, for one retry alone, and until that sets it going. The record says so before, for no add to
 * take the name from a job that is not live.
 * @returns `false` if the name is taken
 */
export async function claimNameForRetry (engineQueue: Queue, stored: Stored): Promise<boolean> {
  // It was to start by then, or was cancelled, the last time.
  const { cancel, expiresAt, retries = 0, ...payload } = stored.data
  await freeName(engineQueue, payload.name)
  await stored.updateData({ ...payload, retries: retries + 1, retrying: { at: Date.now(), starts: stored.attemptsStarted } })
  return createKey(engineQueue, payload.name, stored.id!)
}

export async function releaseName (engineQueue: Queue, { id, data: { name } }: Stored): Promise<void> {
  await engineQueue.getBackend().removeDeduplicationKey(keyOf(name), id!)
}

/**
 * Gives jobs their names that other tools have added or set going again: `queue.add` without a key, BullMQ's own retry.
 * Every process of the fleet does it; the first wins, and the others find it done.
 */
export function adoptForeignJobs (engine: Engine, outcomes: Outcomes): void {
  const { events } = engine
  const adopt = (queue: string, id: string, wasEnded: boolean): void => {
    engine.request(queue, async (engineQueue) => {
      if (wasEnded) await outcomes.forget(queue, id)
      const read = await readJob(engineQueue, id)
      if (read === undefined || isEnded(read.state)) return
      await claimName(engineQueue, read.stored)
      // It may have ended meanwhile: then nobody else gives the key back.
      const now = await readJob(engineQueue, id)
      if (now === undefined || isEnded(now.state)) await releaseName(engineQueue, read.stored)
    }).catch(() => {
      // A store that is away: whoever looks for the job finds it without its key, too.
    })
  }
  events.on('added', ({ queue, jobId }) => { if (!OUR_ID.test(jobId) && !TICK.test(jobId)) adopt(queue, jobId, false) })
  events.on('waiting', ({ queue, jobId, prev }) => { if (isEnded(prev)) adopt(queue, jobId, true) })
  // BullMQ takes back only keys that were given with the job.
  events.on('ended', ({ queue, job }) => {
    if (isOurs(job) && job.deduplicationId !== keyOf(job.data.name)) engine.request(queue, (engineQueue) => releaseName(engineQueue, job)).catch(() => {})
  })
}
