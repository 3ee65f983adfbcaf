import type { FastifyInstance } from 'fastify'
import type { Task } from '../../types/task'
import { FST_ERR_JOB_TIMEOUT, FST_ERR_TASKS_CLOSED } from '../shared/errors'
import type { Kinds } from './kinds'
import { cancellation, toEngineError, startsOf, deserializeReason, type Reason, type Stored } from './serialization'

/** Why a running job is stopped here without being cancelled. */
const RELEASED = new FST_ERR_TASKS_CLOSED()
const LOCK_LOST = new Error('The job is no longer of this process: its lock was not renewed in time')

/** Another process takes it within a second; this one, about to close, does not take it again. */
const RELEASE_DELAY = 100
/** A job whose kind no process has must not go round and round: each time it waits longer. In ms. */
const MISROUTED_DELAY = 25
const MAX_MISROUTED_DELAY = 1_000
/** Cancels that came before their jobs. Older ones are found with the jobs. */
const MAX_PENDING_CANCELS = 1_000

interface Running {
  job: Stored
  task: Task
  /** Settles when the engine has been told of the progress so far. */
  reporting: Promise<void> | undefined
}

/** Runs each job that this process gets as a task of it. */
export class Runner {
  private readonly running = new Map<string, Running>()
  private readonly byTask = new WeakMap<Task, Running>()
  private readonly pendingCancels = new Map<string, Reason>()
  private leaving = false

  constructor (private readonly app: FastifyInstance, private readonly kinds: Pick<Kinds, 'get'>) {
    app.tasks.on('progress', (task) => {
      const entry = this.byTask.get(task)
      if (entry !== undefined) entry.reporting ??= this.report(entry)
    })
  }

  /** The engine's processor: what it returns is the result, what it throws is noted as {@link toEngineError} and the like say. */
  readonly process = async (job: Stored, token?: string): Promise<unknown> => {
    const kind = this.kinds.get(job.name)
    if (kind === undefined) return this.releaseToOther(job, token)
    if (this.leaving) return this.release(job, token)
    const { name, data, ttl, cancel = this.pendingCancels.get(job.id!) } = job.data
    if (cancel !== undefined) throw cancellation(name, deserializeReason(cancel))

    let task: Task
    try {
      task = kind.app.addTask((app, task) => kind.handler.call(app, app, task, data, {
        name, kind: job.name, attempts: startsOf(job)
      }), { name, ttl })
    } catch (err) {
      // A task of this process has the name, if only a copy of this job that was too slow; or the tasks are closed.
      this.app.log.warn({ err, job: name }, 'Job cannot run here and is handed back')
      return this.releaseToOther(job, token)
    }
    const { timeout } = kind.options
    const timer = timeout === undefined ? undefined : setTimeout(() => task.cancel(new FST_ERR_JOB_TIMEOUT(name, timeout)), timeout)
    const entry: Running = { job, task, reporting: undefined }
    this.running.set(job.id!, entry)
    this.byTask.set(task, entry)
    const [outcome] = await Promise.allSettled([task])
    clearTimeout(timer)
    this.running.delete(job.id!)
    // Not later: by then another process may have it.
    await entry.reporting
    return outcome.status === 'fulfilled' ? outcome.value : this.notCompleted(entry, token)
  }

  private async notCompleted ({ job, task }: Running, token: string | undefined): Promise<never> {
    const { reason } = task.signal
    if (task.state === 'failed' || reason instanceof FST_ERR_JOB_TIMEOUT) {
      const err = toEngineError(task.state === 'failed' ? task.error : reason)
      task.log.error({ err, attempt: job.attemptsStarted }, 'Job failed')
      throw err
    }
    if (reason instanceof FST_ERR_TASKS_CLOSED) return this.release(job, token)
    if (reason === LOCK_LOST) throw LOCK_LOST
    throw cancellation(job.data.name, reason)
  }

  /**
   * One queue serves all kinds: only so does the engine see to it that a name is unique among them, and a process finds, cancels
   * and lists jobs of kinds that it does not have. The price is that a job can come to a process without its kind.
   */
  private async releaseToOther (job: Stored, token: string | undefined): Promise<never> {
    const misrouted = (job.data.misrouted ?? 0) + 1
    await job.updateData({ ...job.data, misrouted })
    return this.release(job, token, Math.min(MISROUTED_DELAY * misrouted, MAX_MISROUTED_DELAY))
  }

  private async release (job: Stored, token: string | undefined, delay = RELEASE_DELAY): Promise<never> {
    await job.moveToDelayed(Date.now() + delay, token)
    throw Object.assign(new Error('handed back'), { name: 'DelayedError' })
  }

  /** Tells the engine how far the task is. What is reported meanwhile is told afterwards, the latest alone. */
  private async report (entry: Running): Promise<void> {
    const { job, task } = entry
    let told
    try {
      do await job.updateProgress((told = task.progress)!)
      while (told !== task.progress)
    } catch (err) {
      task.log.warn({ err }, 'Progress could not be reported')
    } finally {
      entry.reporting = undefined
    }
  }

  // --- what the fleet says ---

  cancel (id: string, reason: Reason): void {
    const entry = this.running.get(id)
    if (entry !== undefined) {
      entry.task.cancel(deserializeReason(reason))
      return
    }
    this.pendingCancels.set(id, reason)
    if (this.pendingCancels.size > MAX_PENDING_CANCELS) this.pendingCancels.delete(this.pendingCancels.keys().next().value!)
  }

  heartbeat (id: string): void {
    this.running.get(id)?.task.heartbeat()
  }

  /** These jobs run elsewhere by now, or soon. */
  onLocksLost (ids: string[]): void {
    for (const id of ids) this.running.get(id)?.task.cancel(LOCK_LOST)
  }

  /** Stops what runs, so that another process takes it. */
  stopAll (): void {
    this.leaving = true
    for (const { task } of this.running.values()) task.cancel(RELEASED)
  }

  /** The jobs that go on regardless, for the log. */
  get names (): string[] {
    return [...this.running.values()].map(({ job }) => job.data.name)
  }
}
