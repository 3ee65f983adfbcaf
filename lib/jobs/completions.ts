import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_CANCELLED, FST_ERR_JOB_RECORD_GONE } from '../shared/errors'
import { timers } from '../shared/timers'
import type { Engine, Queue } from './engine'
import type { Expiries } from './expiries'
import { hasExpired, isOurs, outcomeOf, type Ended, type Outcome } from './ended'
import { COMPLETED, GONE, LIVE } from './names'
import type { Outcomes } from './outcomes'
import { readFailure, readFailureEvent, type Stored } from './serialization'

/** Events tell of an end sooner; polling finds those that were lost. Each job is looked at less and less often. In ms. */
const POLL_INTERVAL = 500
const MAX_POLL_INTERVAL = 8_000
/** For how long a job without a record may be without evidence too. It is written soon after the end, by whoever ran the job. In ms. */
const GONE_AFTER = 5_000
const FIRST_GONE_INTERVAL = 50
/** Of many jobs, so many are looked up in their records at a poll, and a tenth if that is more; of the others the evidence alone. */
const RECORDS = 200

/** Which job is waited for. */
export interface Awaited {
  readonly queue: string
  readonly id: string
  readonly name: string
  /** How often it will have been started when it ends, at least. One that was retried had ended before. */
  attempts: number
  /** When it is no longer to be started, in ms since the epoch. */
  readonly expiresAt?: number
}

interface Waiting extends Awaited {
  readonly settlers: Set<(outcome: Outcome | Error) => void>
  dueAt: number
  interval: number
  /** When its record was read last. */
  readAt: number
  /** Since when there is neither record nor evidence. */
  goneSince: number | undefined
  /** What BullMQ's event said of its failure. It has neither the code nor the cause. */
  failure: string | undefined
}

/** Tells those who wait for jobs how they have ended, and nothing without evidence of it. */
export class CompletionWaiter {
  readonly #engine: Engine
  readonly #outcomes: Outcomes
  readonly #expiries: Pick<Expiries, 'end'>
  /** By queue and id. */
  readonly #waiting = new Map<string, Waiting>()
  readonly #polling = new Set<string>()
  #timer: NodeJS.Timeout | undefined = undefined
  #wakeAt = Infinity
  #closed = false

  constructor (engine: Engine, outcomes: Outcomes, expiries: Pick<Expiries, 'end'>) {
    this.#engine = engine
    this.#outcomes = outcomes
    this.#expiries = expiries
    const { events } = engine
    events.on('completed', ({ queue, jobId, returnvalue }) => this.#settle(this.#find(queue, jobId), { state: 'completed', result: returnvalue }))
    events.on('failed', ({ queue, jobId, failedReason }) => this.#hurry(queue, jobId, failedReason))
    events.on('removed', ({ queue, jobId }) => this.#hurry(queue, jobId))
  }

  /**
   * How the job ends, until whoever waits abandons it.
   * @param isLive the caller has just seen it live: there is no need to look at once
   * @throws FST_ERR_JOBS_CLOSED when this app closes first, FST_ERR_JOB_RECORD_GONE when it is not known how it ended
   */
  wait ({ queue, id, name, attempts, expiresAt }: Awaited, { isLive = false } = {}): { ended: Promise<Outcome>, abandon: () => void } {
    let abandon = (): void => {}
    const ended = new Promise<Outcome>((resolve, reject) => {
      if (this.#closed) return reject(new FST_ERR_JOBS_CLOSED())
      const key = keyOf(queue, id)
      const waiting = this.#waiting.get(key) ?? {
        queue, id, name, attempts, expiresAt, settlers: new Set(), dueAt: isLive ? timers.now() + POLL_INTERVAL : 0, interval: POLL_INTERVAL, readAt: 0, goneSince: undefined, failure: undefined
      }
      waiting.attempts = Math.max(waiting.attempts, attempts)
      const settle = (outcome: Outcome | Error): void => outcome instanceof Error ? reject(outcome) : resolve(outcome)
      waiting.settlers.add(settle)
      this.#waiting.set(key, waiting)
      this.#wakeBy(waiting.dueAt)
      abandon = () => {
        waiting.settlers.delete(settle)
        if (waiting.settlers.size === 0) this.#leave(waiting)
      }
    })
    return { ended, abandon: () => abandon() }
  }

  /** A job that waited was removed from its queue by a cancel. */
  onRemoved (queue: string, id: string, cause: unknown): void {
    const waiting = this.#find(queue, id)
    if (waiting !== undefined) this.#settle(waiting, { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(waiting.name, { cause }) })
  }

  /** Nothing waits any longer. */
  close (): void {
    this.#closed = true
    for (const waiting of this.#waiting.values()) this.#settle(waiting, new FST_ERR_JOBS_CLOSED())
  }

  #find (queue: string, id: string): Waiting | undefined {
    return this.#waiting.get(keyOf(queue, id))
  }

  #settle (waiting: Waiting | undefined, outcome: Outcome | Error): void {
    if (waiting === undefined) return
    this.#leave(waiting)
    for (const settle of waiting.settlers) settle(outcome)
  }

  #leave (waiting: Waiting): void {
    const { queue, id } = waiting
    // A look may come back when it was left long ago, and the job is waited for anew.
    if (this.#find(queue, id) === waiting) this.#waiting.delete(keyOf(queue, id))
    if (this.#waiting.size > 0) return
    // Nothing holds the process for the sake of nobody.
    timers.clearTimeout(this.#timer)
    this.#wakeAt = Infinity
  }

  /** Something has happened to the job: its record is read next. */
  #hurry (queue: string, id: string, failure?: string): void {
    const waiting = this.#find(queue, id)
    if (waiting === undefined) return
    waiting.failure = failure ?? waiting.failure
    waiting.interval = POLL_INTERVAL
    waiting.readAt = waiting.dueAt = 0
    this.#wakeBy(0)
  }

  // --- polling: one look for all that are due ---

  #wakeBy (time: number): void {
    if (time >= this.#wakeAt || this.#closed) return
    this.#wakeAt = time
    timers.clearTimeout(this.#timer)
    // Not at once: those that begin to wait in the same turn are looked at together.
    this.#timer = timers.setTimeout(() => this.#poll(), Math.max(1, time - timers.now()), undefined)
  }

  #poll (): void {
    this.#wakeAt = Infinity
    const now = timers.now()
    const due = new Map<string, Waiting[]>()
    let next = Infinity
    for (const waiting of this.#waiting.values()) {
      if (waiting.dueAt > now || this.#polling.has(waiting.queue)) next = Math.min(next, Math.max(waiting.dueAt, now + 20))
      else if (due.has(waiting.queue)) due.get(waiting.queue)!.push(waiting)
      else due.set(waiting.queue, [waiting])
    }
    for (const [queue, jobs] of due) this.#pollQueue(queue, jobs)
    if (next !== Infinity) this.#wakeBy(next)
  }

  async #pollQueue (queue: string, jobs: Waiting[]): Promise<void> {
    this.#polling.add(queue)
    for (const waiting of jobs) waiting.dueAt = Infinity
    try {
      await this.#look(queue, jobs)
    } catch { // A store that is away is waited for, too.
    }
    this.#polling.delete(queue)
    for (const waiting of jobs) {
      // Unless an event has made it due again meanwhile.
      if (waiting.dueAt === Infinity) {
        waiting.dueAt = timers.now() + Math.min(waiting.interval, timeLeft(waiting))
        waiting.interval = Math.min(waiting.interval * 2, MAX_POLL_INTERVAL)
      }
      if (this.#find(queue, waiting.id) === waiting) this.#wakeBy(waiting.dueAt)
    }
  }

  async #look (queue: string, jobs: Waiting[]): Promise<void> {
    const sorted = jobs.toSorted((a, b) => a.readAt - b.readAt)
    const others = sorted.splice(Math.max(RECORDS, jobs.length / 10))
    const missing = await this.#readRecords(queue, sorted)
    if (missing.length + others.length === 0) return
    const ends = await this.#outcomes.find(queue, [...missing, ...others].map(({ id }) => id))
    // One that was retried runs again: its record says so, where there is one.
    missing.push(...await this.#readRecords(queue, others.filter(({ id }) => ends.has(id))))
    for (const waiting of missing) this.#conclude(waiting, ends.get(waiting.id))
  }

  /** Settles those that have ended, as their records say. @returns those without a record */
  async #readRecords (queue: string, jobs: Waiting[]): Promise<Waiting[]> {
    const missing: Waiting[] = []
    if (jobs.length > 0) {
      await this.#engine.request(queue, (engineQueue) => Promise.all(jobs.map(async (waiting) => {
        waiting.readAt = timers.now()
        const outcome = await this.#readOutcome(engineQueue, waiting)
        if (outcome === 'live') waiting.goneSince = waiting.failure = undefined
        else if (outcome === 'gone') missing.push(waiting)
        else this.#settle(waiting, outcome)
      })))
    }
    return missing
  }

  /** One that is overdue ends first. */
  async #readOutcome (engineQueue: Queue, { queue, id, expiresAt = Infinity }: Waiting): Promise<Outcome | 'live' | 'gone'> {
    const outcome = await readOutcome(engineQueue, id)
    if (outcome !== 'live' || Date.now() < expiresAt || await this.#expiries.end(queue, id) !== 'ended') return outcome
    return readOutcome(engineQueue, id)
  }

  /** There is no record of the job. */
  #conclude (waiting: Waiting, ended: Ended | undefined): void {
    const { name, failure, attempts } = waiting
    const isOfThisRun = ended !== undefined && (ended.removed === true || ended.attempts >= attempts || (waiting.expiresAt !== undefined && hasExpired(ended)))
    const outcome = isOfThisRun ? outcomeOf(ended) : undefined
    if (outcome !== undefined) return this.#settle(waiting, outcome)
    waiting.goneSince ??= timers.now()
    if (timers.now() - waiting.goneSince < GONE_AFTER) {
      // The evidence may be on its way.
      waiting.interval = Math.min(POLL_INTERVAL, FIRST_GONE_INTERVAL + timers.now() - waiting.goneSince)
      return
    }
    if (failure !== undefined) return this.#settle(waiting, readFailureEvent(name, failure))
    this.#settle(waiting, new FST_ERR_JOB_RECORD_GONE(name))
  }
}

/** How the job has ended. Whether it has is asked first: a record that goes in between leaves no outcome, and none is invented. */
async function readOutcome (engineQueue: Queue, id: string): Promise<Outcome | 'live' | 'gone'> {
  const status = await engineQueue.getBackend().isFinished(id)
  if (status === GONE) return 'gone'
  if (status === LIVE) return 'live'
  const job: Stored | undefined = await engineQueue.getJob(id)
  if (!isOurs(job)) return 'gone'
  // It was retried in between.
  if (job.finishedOn === undefined) return 'live'
  return status === COMPLETED ? { state: 'completed', result: job.returnvalue } : readFailure(job)
}

/** Until nobody may start it any more, in ms. */
function timeLeft ({ expiresAt = Infinity }: Waiting): number {
  const left = expiresAt - Date.now()
  return left > 0 ? left : Infinity
}

function keyOf (queue: string, id: string): string {
  return `${queue} ${id}`
}
