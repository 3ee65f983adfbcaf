import type { FastifyInstance } from 'fastify'
import type { JobDefinition, JobHandler } from '../../types/job'
import type { Task } from '../../types/task'
import { FST_ERR_JOB_TIMEOUT, FST_ERR_TASKS_CLOSED } from '../shared/errors'
import { cancellation, failure, startsOf, unpackReason, type Reason, type Stored } from './serialization'

/** A kind of job, as `defineJob` took it. */
export interface Kind {
  app: FastifyInstance
  handler: JobHandler
  options: JobDefinition
  /** Throws what is wrong with the data. */
  validate?: (data: unknown) => void
}

/** Why a running job is stopped here without being cancelled. */
const HANDED_BACK = new FST_ERR_TASKS_CLOSED()
const LOST = new Error('The job is no longer of this process: its lock was not renewed in time')

/** Another process takes it within a second; this one, about to close, does not take it again. */
const HAND_BACK_DELAY = 100
/** A job whose kind no process has must not go round and round: each time it waits longer. In ms. */
const STRAY_DELAY = 25
const MAX_STRAY_DELAY = 1_000
/** Cancels that came before their jobs. Older ones are found with the jobs. */
const MAX_EARLY = 1_000

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
  private readonly early = new Map<string, Reason>()
  private leaving = false

  constructor (private readonly app: FastifyInstance, private readonly kinds: ReadonlyMap<string, Kind>) {
    app.tasks.on('progress', (task) => {
      const entry = this.byTask.get(task)
      if (entry !== undefined) entry.reporting ??= this.report(entry)
    })
  }

  /** The engine's processor: what it returns is the result, what it throws is noted as {@link failure} and the like say. */
  readonly process = async (job: Stored, token?: string): Promise<unknown> => {
    const kind = this.kinds.get(job.name)
    if (kind === undefined) return this.passOn(job, token)
    if (this.leaving) return this.handBack(job, token)
    const { name, data, ttl, cancel = this.early.get(job.id!) } = job.data
    if (cancel !== undefined) throw cancellation(name, unpackReason(cancel))

    let task: Task
    try {
      task = kind.app.addTask((app, task) => kind.handler.call(app, app, task, data, {
        name, kind: job.name, attempts: startsOf(job)
      }), { name, ttl })
    } catch (err) {
      // A task of this process has the name, if only a copy of this job that was too slow; or the tasks are closed.
      this.app.log.warn({ err, job: name }, 'Job cannot run here and is handed back')
      return this.passOn(job, token)
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
      const err = failure(task.state === 'failed' ? task.error : reason)
      task.log.error({ err, attempt: job.attemptsStarted }, 'Job failed')
      throw err
    }
    if (reason instanceof FST_ERR_TASKS_CLOSED) return this.handBack(job, token)
    if (reason === LOST) throw LOST
    throw cancellation(job.data.name, reason)
  }

  /**
   * One queue serves all kinds: only so does the engine see to it that a name is unique among them, and a process finds, cancels
   * and lists jobs of kinds that it does not have. The price is that a job can come to a process without its kind.
   */
  private async passOn (job: Stored, token: string | undefined): Promise<never> {
    const strayed = (job.data.strayed ?? 0) + 1
    await job.updateData({ ...job.data, strayed })
    return this.handBack(job, token, Math.min(STRAY_DELAY * strayed, MAX_STRAY_DELAY))
  }

  private async handBack (job: Stored, token: string | undefined, delay = HAND_BACK_DELAY): Promise<never> {
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
      entry.task.cancel(unpackReason(reason))
      return
    }
    this.early.set(id, reason)
    if (this.early.size > MAX_EARLY) this.early.delete(this.early.keys().next().value!)
  }

  heartbeat (id: string): void {
    this.running.get(id)?.task.heartbeat()
  }

  /** These jobs run elsewhere by now, or soon. */
  lose (ids: string[]): void {
    for (const id of ids) this.running.get(id)?.task.cancel(LOST)
  }

  /** Stops what runs, so that another process takes it. */
  leave (): void {
    this.leaving = true
    for (const { task } of this.running.values()) task.cancel(HANDED_BACK)
  }

  /** The jobs that go on regardless, for the log. */
  get names (): string[] {
    return [...this.running.values()].map(({ job }) => job.data.name)
  }
}
