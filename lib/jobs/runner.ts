import type { FastifyInstance } from 'fastify'
import type { Task, TaskOptions } from '../../types/task'
import { FST_ERR_JOB_EXPIRED, FST_ERR_JOB_INVALID_RECORD, FST_ERR_JOB_TIMEOUT, FST_ERR_TASKS_CLOSED } from '../shared/errors'
import { redactError } from '../shared/redaction'
import { kStoppedByJobs, type StoppedByJobs } from '../shared/stopped-by-jobs'
import { timers } from '../shared/timers'
import { logThrown } from '../shared/thrown'
import type { StopRequest } from './canceller'
import { JobLog } from './job-log'
import { EarlyCancels, isFor } from './early-cancels'
import { isOurs } from './ended'
import type { Expiries } from './expiries'
import type { Kind, Kinds } from './kinds'
import type { MisroutedJobs } from './misrouted'
import { findProblem } from './options'
import { isTooLate } from './overdue'
import { discountStart, orReleased, released } from './released'
import { TICK, type Schedules } from './schedules'
import { cancellation, deserializeReason, startsOf, toEngineError, type Stored } from './serialization'

/** Why a running job is stopped here without being cancelled. */
const RELEASED = new FST_ERR_TASKS_CLOSED()
const LOCK_LOST = new Error('Lock lost: it was not renewed in time, so another process may run this job')

/** Another process takes it within a second; this one, about to close, does not take it again. */
const RELEASE_DELAY = 100

interface Running {
  queue: string
  job: Stored
  kind: Kind
  task: Task
  /** What the handler returned, even after it was asked to stop. */
  returned: unknown
  /** Settles when BullMQ has the progress so far. */
  reporting: Promise<void> | undefined
  log: JobLog | undefined
}

/** Runs each job that this process gets as a task of it. */
export class Runner {
  /** What runs the times of schedules. */
  schedules!: Pick<Schedules, 'tick'>
  /** Where jobs of kinds go that this process has not defined. */
  misrouted!: Pick<MisroutedJobs, 'nextTime' | 'remember' | 'onRoom'>
  /** By when jobs are to be started. */
  expiries!: Pick<Expiries, 'unmark'>
  private readonly running = new Map<string, Running>()
  private readonly byTask = new WeakMap<Task, Running>()
  private readonly earlyCancels = new EarlyCancels()
  /** Set once this process takes no more jobs: when nothing here waits for one. */
  private stoppedTaking: Promise<unknown> | undefined = undefined

  constructor (app: FastifyInstance, private readonly kinds: Pick<Kinds, 'get'>) {
    app.tasks.on('progress', (task) => {
      const entry = this.byTask.get(task)
      if (entry !== undefined) entry.reporting ??= this.report(entry)
    })
  }

  /** BullMQ's processor: what it returns is the result, what it throws is noted as {@link toEngineError} and the like say. */
  readonly process = async (queue: string, job: Stored, token?: string): Promise<unknown> => {
    if (this.stoppedTaking !== undefined) return this.release(job, token, { hasStarted: false })
    if (job.name === TICK) return this.schedules.tick(queue, job)
    const earlier = this.running.get(job.id!)
    // Its lock was lost, and it came back while it still runs here: it goes on under the new one.
    if (earlier !== undefined) {
      if (job.data.cancel !== undefined) earlier.task.cancel(deserializeReason(job.data.cancel))
      return this.outcomeOf(earlier, token)
    }
    if (isFirst(job)) refuseLate(job)
    const kind = this.kinds.get(job.name)
    if (kind === undefined) return this.releaseToOther(queue, job, token)
    const problem = findProblem(job.data)
    if (problem !== undefined) throw final(new FST_ERR_JOB_INVALID_RECORD(problem))
    const { name, cancel = this.earlyCancels.reasonFor(job) } = job.data
    if (cancel !== undefined) throw cancellation(name, deserializeReason(cancel))

    let entry: Running
    try {
      entry = this.start(queue, job, kind)
    } catch (error) {
      if (error instanceof FST_ERR_TASKS_CLOSED) return this.release(job, token)
      throw final(error)
    }
    return this.outcomeOf(entry, token)
  }

  private async outcomeOf (entry: Running, token: string | undefined): Promise<unknown> {
    const { queue, job, task } = entry
    const [outcome] = await Promise.allSettled([task])
    this.running.delete(job.id!)
    this.misrouted.onRoom(queue)
    // Not later: by then another process may have it.
    await Promise.all([entry.reporting, entry.log?.written])
    return outcome.status === 'fulfilled' ? outcome.value : this.notCompleted(entry, token)
  }

  /** @throws what `addTask` throws */
  private start (queue: string, job: Stored, kind: Kind): Running {
    const { name, data, ttl } = job.data
    const { timeout } = kind.options
    const log = (job.opts?.keepLogs ?? 0) > 0 ? new JobLog(job) : undefined
    const entry: Running = { queue, job, kind, task: undefined as never, returned: undefined, reporting: undefined, log }
    const info = { name, kind: job.name, attempts: startsOf(job) }
    // A name that no task of the app's has.
    const options: TaskOptions & StoppedByJobs = {
      name: `job:${name}#${job.id!.slice(0, 8)}`, ttl, onClose: 'wait', [kStoppedByJobs]: true, ...log && { log: log.keep(kind.app.log) }
    }
    const task = entry.task = kind.app.addTask((app, task): unknown => {
      const timer = timeout === undefined ? undefined : timers.setTimeout(() => task.cancel(new FST_ERR_JOB_TIMEOUT(name, timeout)), timeout, undefined)
      const keep = (value: unknown): unknown => {
        timers.clearTimeout(timer)
        return (entry.returned = value)
      }
      const drop = (error: unknown): never => {
        timers.clearTimeout(timer)
        throw error
      }
      try {
        const result = kind.handler.call(app, app, task, data, info)
        // Its own task would wait for itself.
        return result === task || !isThenable(result) ? keep(result) : Promise.resolve(result).then(keep, drop)
      } catch (error) {
        return drop(error)
      }
    }, options)
    this.running.set(job.id!, entry)
    this.byTask.set(task, entry)
    if (isFirst(job)) this.expiries.unmark(queue, job)
    return entry
  }

  private async notCompleted ({ job, task, returned }: Running, token: string | undefined): Promise<unknown> {
    const { reason } = task.signal
    const isReleased = reason instanceof FST_ERR_TASKS_CLOSED
    // Finished work is neither thrown away nor done again.
    if ((isReleased || reason === LOCK_LOST) && returned !== undefined) return returned
    if (isReleased || reason === LOCK_LOST) return this.release(job, token)
    if (task.state !== 'failed' && !(reason instanceof FST_ERR_JOB_TIMEOUT)) throw cancellation(job.data.name, reason)
    const err = toEngineError(task.state === 'failed' ? task.error : reason)
    logThrown(task.log, err, `Job failed: ${job.data.name}`, { job: job.data.name, attempt: startsOf(job) })
    // One that was cancelled is not tried again, whatever it threw.
    throw task.signal.aborted && !(reason instanceof FST_ERR_JOB_TIMEOUT) ? final(err) : err
  }

  /**
   * One queue serves several kinds: only so does BullMQ see to it that a name is unique among them, and a process finds, cancels
   * and lists jobs of kinds that it does not have. The price is that a job can come to a process without its kind.
   */
  private async releaseToOther (queue: string, job: Stored, token: string | undefined): Promise<never> {
    const at = this.misrouted.nextTime(job)
    const isNew = isFirst(job)
    await orReleased(discountStart(job))
    // Its time may have come meanwhile, and whoever looked for it then has found it taken.
    if (isNew) refuseLate(job)
    await orReleased(job.moveToDelayed(at, token))
    this.misrouted.remember(queue, job, at)
    throw released()
  }

  private async release (job: Stored, token: string | undefined, { hasStarted = true } = {}): Promise<never> {
    // What waits for jobs here would get the notice of this one, which another process is to get.
    await this.stoppedTaking
    if (!hasStarted && isOurs(job)) await orReleased(discountStart(job))
    await orReleased(job.moveToDelayed(Date.now() + RELEASE_DELAY, token))
    throw released()
  }

  /** Stores the progress of the task in BullMQ. Of what is reported meanwhile, only the latest follows. */
  private async report (entry: Running): Promise<void> {
    const { job, task } = entry
    let stored
    try {
      do await job.updateProgress((stored = task.progress)!)
      while (stored !== task.progress)
    } catch (error) {
      logThrown(task.log, redactError(error), 'Progress could not be reported', {}, 'warn')
    } finally {
      entry.reporting = undefined
    }
  }

  // --- what the fleet says ---

  cancel (request: StopRequest): void {
    const entry = this.running.get(request.id)
    if (entry === undefined) this.earlyCancels.add(request)
    else if (isFor(request, entry.job)) entry.task.cancel(deserializeReason(request.reason))
  }

  heartbeat (id: string): void {
    this.running.get(id)?.task.heartbeat()
  }

  /** These jobs run elsewhere by now, or soon. */
  onLocksLost (ids: string[]): void {
    for (const id of ids) this.running.get(id)?.task.cancel(LOCK_LOST)
  }

  // --- when the app closes ---

  /** Starts no more jobs, and stops those of the kinds that say so, for another process to take them. */
  leave (stoppedTaking: Promise<unknown>): void {
    this.stoppedTaking = stoppedTaking
    for (const { task, kind } of this.running.values()) if (kind.options.onClose === 'cancel') task.cancel(RELEASED)
  }

  /** Stops what still runs, for another process to take it. */
  stopAll (): void {
    for (const { task } of this.running.values()) task.cancel(RELEASED)
  }

  /** How many jobs of the queue run here. */
  count (queue: string): number {
    let count = 0
    for (const entry of this.running.values()) if (entry.queue === queue) count++
    return count
  }

  /** The jobs that go on regardless, for the log. */
  get names (): string[] {
    return [...this.running.values()].map(({ job }) => job.data.name)
  }
}

/** Whether its handler was never started, nor is by another process. */
function isFirst (job: Stored): boolean {
  return isOurs(job) && startsOf(job) <= 1
}

/** @throws what ends the job as cancelled, if it was to be started by now */
function refuseLate (job: Stored): void {
  const { name, cancel } = job.data
  if (cancel === undefined && isTooLate(job)) throw cancellation(name, new FST_ERR_JOB_EXPIRED(name))
}

/** The error that makes BullMQ note the failure, and not try again. */
function final (error: unknown): Error {
  return Object.assign(toEngineError(error), { name: 'UnrecoverableError' })
}

function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
