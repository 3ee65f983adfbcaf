import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { FST_ERR_JOB_CANCELLED, FST_ERR_JOB_FAILED } from '../shared/errors'
import type { Engine } from './engine'
import { Generations, type Family, type Limits } from './generations'
import { deserializeReason, readFailure, serializeReason, startsOf, type Reason, type Stored } from './serialization'

/** How a job has ended. */
export type Outcome =
  { state: 'completed', result: unknown } |
  { state: 'failed' | 'cancelled', error: Error & { code: string } }

/** What is kept of a job that has ended, apart from BullMQ's record of it. Times are ms since the epoch. */
export interface Ended {
  id: string
  name: string
  kind: string
  attempts: number
  createdAt: number
  startedAt?: number
  endedAt: number
  state: 'completed' | 'failed' | 'cancelled'
  result?: unknown
  /** The result was too large to be kept. */
  resultOmitted?: true
  error?: { code: string, message: string }
  /** Why it was cancelled. */
  cause?: Reason
}

/** Of a result or a message no more is kept, in characters. */
const MAX_RESULT = 16_384
const MAX_MESSAGE = 2_000
/** How many ends wait for the store at most; a store that is away for longer than they last loses the oldest. */
const MAX_PENDING = 10_000
const RETRY_INTERVAL = 1_000

/**
 * How jobs have ended, by their ids, and the last ended job of each name: the evidence when BullMQ's record is gone, and the way
 * from a name to the record while it is there. Both cost the same whatever number of jobs is kept.
 *
 * It is written when the store has accepted an outcome, and never before: of a copy that was too slow nothing is kept.
 */
export class Outcomes {
  readonly #engine: Engine
  readonly #generations: Generations
  readonly #pending = new Map<string, Ended[]>()
  readonly #writing = new Map<string, Promise<void>>()

  constructor (engine: Engine, limitsOf: (queue: string, family: Family) => Limits) {
    this.#engine = engine
    this.#generations = new Generations(engine, limitsOf)
    engine.events.on('ended', ({ queue, job, ...how }) => { if (isOurs(job)) this.record(queue, endOf(job, how)) })
  }

  /** Soon, and many at a time. Nobody needs to wait for it. */
  record (queue: string, ended: Ended): void {
    const pending = this.#pending.get(queue) ?? []
    pending.push(ended)
    if (pending.length > MAX_PENDING) pending.shift()
    this.#pending.set(queue, pending)
    if (!this.#writing.has(queue)) this.#writing.set(queue, this.#write(queue))
  }

  /** Those of the jobs that have ended and are kept. An older end of one that was retried may be among them. */
  async find (queue: string, ids: string[]): Promise<Map<string, Ended>> {
    const found = await this.#generations.read(queue, ids.map(fieldOfId))
    const ends = new Map<string, Ended>()
    for (const ended of found.flat().map((text): Ended => JSON.parse(text))) {
      const { endedAt = 0 } = ends.get(ended.id) ?? {}
      if (ended.endedAt >= endedAt) ends.set(ended.id, ended)
    }
    return ends
  }

  /** The id of the job of this name that has ended last. BullMQ may have no record of it any more. */
  async latestId (queue: string, name: string): Promise<string | undefined> {
    const [found] = await this.#generations.read(queue, [fieldOfName(name)])
    const pointers = found.map((text) => text.split(/@(.*)/s, 2)).sort(([a], [b]) => Number(a) - Number(b))
    return pointers.at(-1)?.[1]
  }

  /** The job runs again: how it ended before is no evidence any more. */
  async forget (queue: string, id: string): Promise<void> {
    await this.#generations.remove(queue, [fieldOfId(id)])
  }

  /** Resolves when all that is known so far is written, or cannot be. */
  async flush (): Promise<void> {
    await Promise.all(this.#writing.values())
  }

  /** The records of the queue are removed. What tells how they ended stays for a while: somebody may wait for it. */
  async retire (queue: string): Promise<void> {
    await this.#generations.retire(queue)
  }

  async #write (queue: string): Promise<void> {
    // Those that end in the same turn are written at once, and those that end meanwhile are the next.
    await new Promise(setImmediate)
    for (let pending; (pending = this.#pending.get(queue)!.splice(0)).length > 0;) {
      try {
        await Promise.all((['completed', 'failed'] as const).map((family) => this.#writeFamily(queue, family, pending!)))
      } catch {
        // Closing ends it: then nothing is answered any more, and nothing is to be kept.
        if (this.#engine.isClosing) break
        this.#pending.get(queue)!.unshift(...pending)
        await sleep(RETRY_INTERVAL, undefined, { ref: false })
      }
    }
    this.#writing.delete(queue)
  }

  async #writeFamily (queue: string, family: Family, pending: Ended[]): Promise<void> {
    const entries: Record<string, string> = {}
    let count = 0
    for (const ended of pending) {
      if ((ended.state === 'completed') !== (family === 'completed')) continue
      entries[fieldOfId(ended.id)] = JSON.stringify(ended)
      entries[fieldOfName(ended.name)] = `${ended.endedAt}@${ended.id}`
      count++
    }
    if (count > 0) await this.#generations.write(queue, family, entries, count)
  }
}

/** Whether this plugin made the record: others may add jobs to the queue, and change those of ours. */
export function isOurs (job: Stored | undefined): job is Stored {
  const data: unknown = job?.data
  return typeof data === 'object' && data !== null && typeof (data as { name?: unknown }).name === 'string'
}

/** The end of a job that a worker of this process has told the store of. */
export function endOf (job: Stored, { result, error: thrown }: { result?: unknown, error?: Error }): Ended {
  const ended = { id: job.id!, name: job.data.name, kind: job.name, attempts: startsOf(job), createdAt: job.timestamp, startedAt: job.processedOn, endedAt: job.finishedOn! }
  if (thrown === undefined) return { ...ended, state: 'completed', ...resultOf(result) }
  const { state, error } = readFailure(job)
  // Who cancelled it has left the reason in the record, of which a worker has an older copy.
  const { cause } = 'cause' in thrown ? thrown : error
  return { ...ended, state, error: { code: error.code, message: clip(error.message) }, ...state === 'cancelled' && { cause: serializeReason(cause) } }
}

/** The end of a job that waited, and was removed. */
export function removalOf (job: Stored, cause: Reason): Ended {
  const { name } = job.data
  const { code, message } = new FST_ERR_JOB_CANCELLED(name)
  return { id: job.id!, name, kind: job.name, attempts: startsOf(job), createdAt: job.timestamp, startedAt: job.processedOn, endedAt: Date.now(), state: 'cancelled', error: { code, message }, cause }
}

/** @returns `undefined` if it is not all known: the result was too large to be kept */
export function outcomeOf ({ name, state, result, resultOmitted, error, cause }: Ended): Outcome | undefined {
  if (state === 'completed') return resultOmitted ? undefined : { state, result }
  if (state === 'cancelled') return { state, error: new FST_ERR_JOB_CANCELLED(name, { cause: deserializeReason(cause!) }) }
  const { code, message } = error!
  return { state, error: Object.assign(new FST_ERR_JOB_FAILED(message), { code }) }
}

/** What is undefined the engine keeps as `null`. */
function resultOf (result: unknown = null): Pick<Ended, 'result' | 'resultOmitted'> {
  const text = JSON.stringify(result) ?? 'null'
  return text.length > MAX_RESULT ? { resultOmitted: true } : { result: JSON.parse(text) }
}

function clip (message: string): string {
  // Not within a surrogate pair.
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE).toWellFormed()}…` : message
}

// PostgreSQL bounds the length of a key; names and the ids of others may be longer.
function fieldOfId (id: string): string { return `i:${digest(id)}` }
function fieldOfName (name: string): string { return `n:${digest(name)}` }

function digest (text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 24)
}
