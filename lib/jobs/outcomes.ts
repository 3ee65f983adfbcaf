import { createHash } from 'node:crypto'
import { timers } from '../shared/timers'
import { deferred, type Deferred } from './deferred'
import { endOf, isOurs, type Ended } from './ended'
import type { Engine } from './engine'
import { Generations, type Family, type Limits } from './generations'
import type { Stored } from './serialization'

/** Ends are written with the next start, or after so many ms. */
const DELAY = 100
/** How many ends wait for the store at most; a store that is away for longer than they last loses the oldest. */
const MAX_PENDING = 10_000
const RETRY_INTERVAL = 1_000

/** What is to be written of a queue. */
interface Pending {
  /** The jobs that were started, by name. */
  starts: Map<string, string>
  /** What waits for those to be written. */
  noted: Deferred
  ends: Ended[]
  /** Those that the store was given, and has not confirmed. */
  unconfirmed: Ended[]
  writing: Promise<void> | undefined
  timer: NodeJS.Timeout | undefined
}

/**
 * How jobs have ended, by their ids, and the last job of each name that was started: the evidence when BullMQ's record is gone, and
 * the way from a name to the record while it is there. Both cost the same whatever number of jobs is kept.
 *
 * An end is written when the store has accepted the outcome, and never before: of a copy that was too slow nothing is kept. The name
 * is written at the start: whoever has waited for a job finds it by its name at once.
 */
export class Outcomes {
  readonly #engine: Engine
  readonly #generations: Generations
  readonly #pending = new Map<string, Pending>()
  readonly #noted = new WeakMap<object, Promise<void>>()

  constructor (engine: Engine, limitsOf: (queue: string, family: Family) => Limits) {
    this.#engine = engine
    this.#generations = new Generations(engine, limitsOf)
    engine.events.on('taken', ({ queue, job }) => { if (isOurs(job)) this.#noteStart(queue, job) })
    engine.events.on('ended', ({ queue, job, ...how }) => { if (isOurs(job)) this.record(queue, endOf(job, how), { isUrgent: goesSoon(job, 'error' in how) }) })
  }

  /** What the job comes to, not before it can be found by its name: who hears of its end may look for it at once. */
  async afterNoting<T> (job: Stored, run: Promise<T>): Promise<T> {
    try {
      return await run
    } finally {
      await this.#noted.get(job)
    }
  }

  /** Soon, and many at a time. Nobody needs to wait for it. */
  record (queue: string, ended: Ended, { isUrgent = true } = {}): void {
    const pending = this.#of(queue)
    pending.ends.push(ended)
    if (pending.ends.length > MAX_PENDING) pending.ends.shift()
    if (isUrgent) this.#write(queue)
    else pending.timer ??= timers.setTimeout(() => { this.#write(queue) }, DELAY, undefined)
  }

  /** Those of the jobs that have ended and are kept. An older end of one that was retried may be among them. */
  async find (queue: string, ids: string[]): Promise<Map<string, Ended>> {
    const found = await this.#generations.read(queue, ids.map(fieldOfId))
    const ends = new Map<string, Ended>()
    for (const ended of [...found.flat().map((text): Ended => JSON.parse(text)), ...this.#unwritten(queue, new Set(ids))]) {
      const { endedAt = 0 } = ends.get(ended.id) ?? {}
      if (ended.endedAt >= endedAt) ends.set(ended.id, ended)
    }
    return ends
  }

  /** A store that answers may take nothing for a while. */
  #unwritten (queue: string, ids: Set<string>): Ended[] {
    const { ends, unconfirmed } = this.#of(queue)
    return [...unconfirmed, ...ends].filter(({ id }) => ids.has(id))
  }

  /** The ids of the jobs that had this name last. BullMQ may have no record of some. */
  async idsOf (queue: string, name: string): Promise<string[]> {
    const [ids] = await this.#generations.read(queue, [fieldOfName(name)])
    return [...new Set(ids)]
  }

  /** The job runs again: how it ended before is no evidence any more. */
  async forget (queue: string, id: string): Promise<void> {
    const pending = this.#of(queue)
    pending.ends = pending.ends.filter((ended) => ended.id !== id)
    pending.unconfirmed = pending.unconfirmed.filter((ended) => ended.id !== id)
    await this.#generations.remove(queue, [fieldOfId(id)])
  }

  /** Resolves when all that is known so far is written, or cannot be. */
  async flush (): Promise<void> {
    await Promise.all(Array.from(this.#pending.keys(), (queue) => this.#write(queue)))
  }

  /** The records of the queue are removed. What tells how they ended stays for a while: somebody may wait for it. */
  async retire (queue: string): Promise<void> {
    await this.#generations.retire(queue)
  }

  #of (queue: string): Pending {
    let pending = this.#pending.get(queue)
    if (pending === undefined) this.#pending.set(queue, pending = { starts: new Map(), noted: deferred(), ends: [], unconfirmed: [], writing: undefined, timer: undefined })
    return pending
  }

  #noteStart (queue: string, job: Stored): void {
    const pending = this.#of(queue)
    pending.starts.set(job.data.name, job.id!)
    this.#noted.set(job, pending.noted.promise)
    this.#write(queue)
  }

  #write (queue: string): Promise<void> {
    const pending = this.#of(queue)
    timers.clearTimeout(pending.timer)
    pending.timer = undefined
    pending.writing ??= this.#writeAll(queue, pending)
    return pending.writing
  }

  async #writeAll (queue: string, pending: Pending): Promise<void> {
    // Those of one turn are written at once, and those that come meanwhile are the next.
    await new Promise((resolve) => timers.setImmediate(resolve, undefined))
    while (pending.starts.size + pending.ends.length > 0) {
      const starts = [...pending.starts]
      const { noted } = pending
      pending.starts.clear()
      pending.noted = deferred()
      const ends = pending.unconfirmed = pending.ends.splice(0)
      try {
        // Redis does in its order what one client asks for: the end of a job comes after the note of its start, and need not wait
        // for the answer. An immediate later BullMQ has handed it to the client.
        const onSent = this.#engine.isPostgres ? undefined : () => { timers.setImmediate(noted.resolve, undefined) }
        await Promise.all([this.#writeCompleted(queue, starts, ends, onSent), this.#writeFailed(queue, ends)])
        noted.resolve()
        pending.unconfirmed = []
      } catch {
        // A store that is away delays no job.
        noted.resolve()
        // Closing ends it: then nothing is answered any more, and nothing is to be kept.
        if (this.#engine.isClosing) break
        pending.ends.unshift(...pending.unconfirmed)
        pending.unconfirmed = []
        for (const [name, id] of starts) if (!pending.starts.has(name)) pending.starts.set(name, id)
        await new Promise((resolve) => timers.setTimeout(resolve, RETRY_INTERVAL, undefined))
      }
    }
    pending.writing = undefined
  }

  /** Here each start counts, whatever comes of it: all names are in the one map first. */
  async #writeCompleted (queue: string, starts: Array<[string, string]>, ends: Pending['ends'], onSent?: () => void): Promise<void> {
    const entries: Record<string, string> = {}
    for (const ended of ends) if (ended.state === 'completed') addEnd(entries, ended)
    // The job that was started last has the name.
    for (const [name, id] of starts) entries[fieldOfName(name)] = id
    await this.#generations.write(queue, 'completed', entries, starts.length, onSent)
  }

  async #writeFailed (queue: string, ends: Pending['ends']): Promise<void> {
    const entries: Record<string, string> = {}
    let count = 0
    for (const ended of ends) {
      if (ended.state === 'completed') continue
      count++
      addEnd(entries, ended)
    }
    await this.#generations.write(queue, 'failed', entries, count)
  }
}

/** With its name once more: the job may have run for longer than the generation has lived in which it is. */
function addEnd (entries: Record<string, string>, ended: Ended): void {
  entries[fieldOfId(ended.id)] = JSON.stringify(ended)
  // Of one that was removed there is no record to find by the name.
  if (ended.removed === undefined) entries[fieldOfName(ended.name)] = ended.id
}

/** In s. */
const BRIEF = 60
const FEW = 100

/** Whether BullMQ keeps so few ended jobs that the record may be gone before the next is written. */
function goesSoon ({ opts }: Stored, hasFailed: boolean): boolean {
  const rule = hasFailed ? opts.removeOnFail : opts.removeOnComplete
  const { count = Infinity, age = Infinity } = typeof rule === 'object' ? rule as { count?: number, age?: number } : { count: typeof rule === 'number' ? rule : Infinity }
  return rule === true || count < FEW || age < BRIEF
}

// PostgreSQL bounds the length of a key; names and the ids of others may be longer.
function fieldOfId (id: string): string { return `i:${digest(id)}` }
function fieldOfName (name: string): string { return `n:${digest(name)}` }

function digest (text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 24)
}
