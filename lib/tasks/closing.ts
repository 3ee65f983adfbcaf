import type { FastifyBaseLogger } from 'fastify'
import { FST_ERR_TASKS_CLOSED } from '../shared/errors'
import { CANCELLING, PENDING, STOPPED_BY_JOBS, WAITS } from './status'
import { Task } from './task'
import { logLine } from '../shared/thrown'
import { timers } from '../shared/timers'
import { allEnded, within } from './waiting'

/** What closing asks of the registry. */
export interface ClosingHost {
  /** In ms. */
  readonly cancelTimeout: number
  /** In ms. */
  readonly closeTimeout: number
  readonly log: FastifyBaseLogger
  /** Whether pending tasks start. */
  readonly isReady: boolean
  readonly liveTasks: Task[]
  nextImmediate (): Promise<void>
}

/**
 * How tasks end when the app closes.
 *
 * - `open`: every task is accepted, though closing may have begun, for requests in flight are still served.
 * - `finishing`: tasks with `onClose: 'wait'` finish, and others of their kind are accepted. The rest is cancelled.
 * - `closed`: no task is accepted.
 */
export class Closing {
  #phase: 'open' | 'finishing' | 'closed' = 'open'
  #hasBegun = false
  #timer: NodeJS.Timeout | undefined
  /** How many tasks with `onClose: 'wait'` are live. */
  #waiting = 0
  #onNoneWaiting: (() => void) | undefined
  /** Of either kind of tasks: resolves with those that do not stop. */
  #stops: Array<Promise<Task[]>> | undefined

  constructor (private readonly host: ClosingHost) {}

  get hasBegun (): boolean {
    return this.#hasBegun
  }

  /** `mayFinish`: the task has `onClose: 'wait'`, and runs or can start. */
  accepts ({ mayFinish }: { mayFinish: boolean }): boolean {
    return this.#phase === 'open' || (this.#phase === 'finishing' && mayFinish)
  }

  /** A task with `onClose: 'wait'` is added. */
  enter (): void {
    this.#waiting++
  }

  /** A task with `onClose: 'wait'` has ended. */
  leave (): void {
    if (--this.#waiting === 0 && this.#onNoneWaiting !== undefined) this.confirmNoneWaiting(this.#onNoneWaiting)
  }

  private async confirmNoneWaiting (onNoneWaiting: () => void): Promise<void> {
    // Whoever awaited the last one may add another.
    await this.host.nextImmediate()
    if (this.#waiting > 0) return
    this.#phase = 'closed'
    onNoneWaiting()
  }

  /** Called once. Requests that wait for a task keep the app from closing: `closeTimeout` from now, its tasks are stopped regardless. */
  preClose (): void {
    this.begin()
    this.#timer = timers.setTimeout(() => this.stopBeforeClose(), this.host.closeTimeout, undefined)
  }

  private begin (): void {
    this.#hasBegun = true
    // Nobody can renew these leases any more, for new requests are refused; `closeTimeout` bounds their tasks.
    for (const task of this.host.liveTasks) if (Task.has(task, WAITS)) Task.peek(task)?.lease?.end()
  }

  private stopBeforeClose (): void {
    for (const stop of this.stop()) {
      stop.then((remaining) => {
        // Closing has not come to the tasks yet.
        if (this.#timer !== undefined) this.warnStillRunning(remaining, 'Task is still running; a request waiting for it may delay app.close()')
      })
    }
  }

  /** Waits up to the timeouts, and logs the tasks still running. */
  async onClose (): Promise<void> {
    this.begin()
    timers.clearTimeout(this.#timer)
    this.#timer = undefined
    const remaining = await Promise.all(this.stop())
    this.warnStillRunning(remaining.flat(), 'Task is still running after the app was closed')
  }

  /** Cancels all tasks, honouring `onClose`; whoever calls again waits for the same. */
  private stop (): Array<Promise<Task[]>> {
    this.#stops ??= [this.cancelOthers(), this.finish()]
    return this.#stops
  }

  /** Cancels those that may not finish. @returns those that have not stopped within `cancelTimeout` */
  private async cancelOthers (): Promise<Task[]> {
    this.#phase = this.#waiting > 0 ? 'finishing' : 'closed'
    return await this.cancel(this.host.liveTasks.filter((task) => !this.mayFinish(task)))
  }

  /** Lets the others finish, then cancels them. @returns those that have not stopped within `cancelTimeout` */
  private async finish (): Promise<Task[]> {
    // One that was cancelled before has had its time.
    const isFinishing = this.host.liveTasks.some((task) => this.mayFinish(task) && Task.stateOf(task) !== CANCELLING)
    if (isFinishing) await within(this.host.closeTimeout, (done) => { this.#onNoneWaiting = done })
    this.#phase = 'closed'
    return await this.cancel(this.host.liveTasks.filter((task) => this.mayFinish(task) && !Task.has(task, STOPPED_BY_JOBS)))
  }

  /** If the app never became ready, a pending task would never start. */
  private mayFinish (task: Task): boolean {
    return Task.has(task, WAITS) && (this.host.isReady || Task.stateOf(task) !== PENDING)
  }

  private async cancel (tasks: Task[]): Promise<Task[]> {
    // One error for all: a stack captured for each would be most of the cost.
    const reason = new FST_ERR_TASKS_CLOSED()
    for (const task of tasks) Task.cancel(task, reason)
    // Most tasks stop within the immediate: a callback for each would be a fifth of the cost.
    await this.host.nextImmediate()
    return await allEnded(tasks, this.host.cancelTimeout)
  }

  private warnStillRunning (tasks: Task[], message: string): void {
    // One may have ended while others were waited for.
    for (const task of tasks.filter((task) => Task.isLive(task))) {
      const name = Task.nameOf(task)
      logLine(this.host.log, 'warn', `${message}: ${name}`, { task: name, age: Date.now() - task.createdAt })
    }
  }
}
