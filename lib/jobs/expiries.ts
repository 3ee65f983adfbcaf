import { randomUUID } from 'node:crypto'
import type { JobJson } from 'bullmq'
import { FST_ERR_JOB_EXPIRED } from '../shared/errors'
import { timers } from '../shared/timers'
import type { Engine, Queue } from './engine'
import { isEnded, readJob, type Read } from './names'
import type { Outcomes } from './outcomes'
import { isOverdue, takeWaiting } from './overdue'
import { cancellation, type Stored } from './serialization'
import { sleep } from './sleep'

/** How often a process looks for jobs that are overdue, at least; and how long it leaves between two looks. In ms. */
const INTERVAL = 5_000
const SPACING = 100
/** Until a job is looked at again that somebody has just taken, in ms. */
const TAKEN_INTERVAL = 1_000
/** How long a mark outlives its time whose job is not there: that may be about to be stored. In ms. */
const GRACE = 10_000
/** Marks that are read at once, and jobs that are ended at once: the store has other work. */
const SLICE = 100
const PARALLEL = 20
/** How often a job is looked at again that somebody has just taken, by who asks for it, and how long between, in ms. */
const RETRIES = 50
const RETRY_INTERVAL = 20

/** A job that is to be started by then, in ms since the epoch. */
interface Expiring { id: string, expiresAt: number }

/**
 * Ends jobs that nobody has started in time, as a worker would: whoever sees one does it, and every process of the fleet looks for
 * them, whether it works their queue or not.
 *
 * What is to be started by when is kept beside the queue, until it is: as jobs of a queue that nobody works, each delayed until then,
 * for these BullMQ has in the order of time. A look reads the first of them.
 */
export class Expiries {
  readonly #engine: Engine
  readonly #outcomes: Pick<Outcomes, 'afterNoting'>
  #timer: NodeJS.Timeout | undefined = undefined
  #wakeAt = Infinity
  #looking = false
  #isOpen = false

  constructor (engine: Engine, outcomes: Pick<Outcomes, 'afterNoting'>) {
    this.#engine = engine
    this.#outcomes = outcomes
  }

  // --- when jobs are added, started and removed ---

  /** Keeps by when each is to be started. Before it is stored: one that does not come is soon forgotten. */
  async mark (engineQueue: Queue, jobs: Expiring[]): Promise<void> {
    if (jobs.length === 0) return
    const timestamp = Date.now()
    const entries = jobs.map((job) => {
      const jobId = markOf(job)
      const delay = Math.max(1, job.expiresAt - timestamp)
      return { jobId, job: { id: jobId, name: '', data: '{}', opts: { delay }, delay, timestamp } as unknown as JobJson }
    })
    if (entries.length === 1) await marksOf(engineQueue).addJob(entries[0].job, entries[0].jobId)
    else await marksOf(engineQueue).addJobs(entries)
  }

  /** The job has been started, removed, or was not stored. */
  unmark (queue: string, { id, data: { expiresAt } }: Pick<Stored, 'id' | 'data'>): void {
    if (expiresAt === undefined) return
    this.#engine.request(queue, (engineQueue) => marksOf(engineQueue).remove(markOf({ id: id!, expiresAt }), false)).catch(ignore)
  }

  // --- ending them ---

  /** The job as it is now: one that is overdue ends first. */
  async settled (queue: string, read: Read | undefined): Promise<Read | undefined> {
    if (read === undefined || isEnded(read.state) || !isOverdue(read.stored)) return read
    const id = read.stored.id!
    await this.endNow(queue, id)
    return this.#engine.request(queue, (engineQueue) => readJob(engineQueue, id))
  }

  /** Ends the job if it is overdue, or waits for whoever is about to. @returns whether it was overdue */
  async endNow (queue: string, id: string): Promise<boolean> {
    let how = await this.end(queue, id)
    const wasOverdue = how === 'ended' || how === 'taken'
    for (let i = 0; i < RETRIES && how === 'taken'; i++) {
      await sleep(RETRY_INTERVAL)
      how = await this.end(queue, id)
    }
    return wasOverdue
  }

  /** Ends the job if it is overdue. @returns `taken` if it is, and somebody else has it: they start it in time, or end it */
  async end (queue: string, id: string): Promise<'ended' | 'taken' | 'not overdue' | 'missing'> {
    const { events } = this.#engine
    const job: Stored | undefined = await this.#engine.request(queue, (engineQueue) => engineQueue.getJob(id))
    if (job === undefined) return 'missing'
    if (!isOverdue(job)) return 'not overdue'
    // Whoever hears of the end finds the job by its name at once.
    events.emit('taken', { queue, job })
    await this.#outcomes.afterNoting(job, Promise.resolve())
    const token = randomUUID()
    const error = cancellation(job.data.name, new FST_ERR_JOB_EXPIRED(job.data.name))
    const hasEnded = await this.#engine.request(queue, async (engineQueue) => {
      if (!await takeWaiting(engineQueue, job, token)) return false
      await job.moveToFailed(error, token)
      return true
    })
    if (!hasEnded) return 'taken'
    events.emit('ended', { queue, job, error })
    return 'ended'
  }

  // --- looking for them ---

  open (): void {
    this.#isOpen = true
    this.#wakeIn(0)
  }

  close (): void {
    this.#isOpen = false
    timers.clearTimeout(this.#timer)
  }

  /** Jobs are to be started within so many ms. */
  wakeFor (jobs: Expiring[]): void {
    for (const { expiresAt } of jobs) this.#wakeIn(expiresAt - Date.now())
  }

  #wakeIn (ms: number): void {
    const wait = Math.min(Math.max(SPACING, ms), INTERVAL)
    const at = timers.now() + wait
    if (at >= this.#wakeAt || !this.#isOpen) return
    this.#wakeAt = at
    timers.clearTimeout(this.#timer)
    this.#timer = timers.setTimeout(() => this.#look(), wait, undefined).unref()
  }

  async #look (): Promise<void> {
    this.#wakeAt = Infinity
    if (this.#looking) return this.#wakeIn(SPACING)
    this.#looking = true
    // Not all processes at once.
    const later = INTERVAL * (1 + Math.random()) / 2
    // A store that is away is looked at later.
    const waits = await Promise.all(this.#engine.queues.map((queue) => this.#lookAt(queue).catch(() => INTERVAL)))
    this.#looking = false
    this.#wakeIn(Math.min(later, ...waits))
  }

  /** @returns how long until the next is overdue, in ms */
  async #lookAt (queue: string): Promise<number> {
    while (this.#isOpen) {
      const marks = await this.#engine.request(queue, (engineQueue) => firstMarks(engineQueue))
      const next = marks.findIndex((mark) => readMark(mark).expiresAt > Date.now())
      const due = next === -1 ? marks : marks.slice(0, next)
      let taken = 0
      for (let i = 0; i < due.length; i += PARALLEL) {
        await Promise.all(due.slice(i, i + PARALLEL).map(async (mark) => {
          const { id, expiresAt } = readMark(mark)
          const how = await this.end(queue, id)
          if (how === 'taken' || (how === 'missing' && Date.now() < expiresAt + GRACE)) return taken++
          await this.#engine.request(queue, (engineQueue) => marksOf(engineQueue).remove(mark, false))
        }))
      }
      const areAll = due.length < SLICE
      if (taken > 0 && (areAll || taken === due.length)) return TAKEN_INTERVAL
      if (areAll) return next === -1 ? INTERVAL : readMark(marks[next]).expiresAt - Date.now()
    }
    return INTERVAL
  }
}

/** Where the marks of a queue are: no queue that a user names has such a name. */
function marksOf (engineQueue: Queue): ReturnType<ReturnType<Queue['getBackend']>['forQueue']> {
  return engineQueue.getBackend().forQueue(`${engineQueue.name}:expiries`)
}

async function firstMarks (engineQueue: Queue): Promise<string[]> {
  const [marks] = await marksOf(engineQueue).getRanges(['delayed'], 0, SLICE - 1, true) as unknown as string[][]
  return marks
}

function markOf ({ id, expiresAt }: Expiring): string {
  return `${expiresAt}_${id}`
}

function readMark (mark: string): Expiring {
  const [expiresAt] = mark.split('_', 1)
  return { expiresAt: Number(expiresAt), id: mark.slice(expiresAt.length + 1) }
}

/** A mark that stays is found when its time has come, and forgotten. */
function ignore (): void {}
