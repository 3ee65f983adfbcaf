import { AsyncResource } from 'node:async_hooks'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type * as api from '../../types/task'
import { EndedTasks } from './ended-tasks'
import { FST_ERR_TASKS_CLOSED, FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_NAME_IN_USE } from '../shared/errors'
import { formatValue } from '../shared/option-checks'
import { checkName, checkTaskOptions } from './options'
import { link, unlink } from './abort-links'
import { Task, type TaskOwner } from './task'
import { TasksView } from './view'
import { logThrown } from '../shared/thrown'

/** The tasks of an app by name: the live ones, which it owns, and the named ones that have ended. */
export class TaskRegistry implements TaskOwner {
  readonly view: TasksView
  readonly cancelTimeout: number
  private readonly closeTimeout: number
  private readonly keepEnded: number
  private readonly tasks = new Map<string, Task>()
  private readonly ended = new EndedTasks()
  /** Until the app is ready: what starts then, in the order added. */
  private waiting: Array<() => void> | undefined = []
  private closed = false
  private closeTimer: NodeJS.Timeout | undefined
  private turn: Promise<void> | undefined
  private lastNumber = 0

  constructor (private readonly log: FastifyBaseLogger, options: Required<Pick<api.FastifyTasksOptions, 'cancelTimeout' | 'closeTimeout' | 'keepEnded'>>) {
    this.cancelTimeout = options.cancelTimeout
    this.closeTimeout = options.closeTimeout
    this.keepEnded = options.keepEnded
    this.view = new TasksView(this.tasks, log)
  }

  // --- the verbs ---

  add<T> (app: FastifyInstance, work: api.TaskFunction<T> | PromiseLike<T>, options?: api.TaskOptions): Task<T> {
    try {
      return this.admit(app, work, options)
    } catch (error) {
      logFailure(work, this.log)
      throw error
    }
  }

  private admit<T> (app: FastifyInstance, work: api.TaskFunction<T> | PromiseLike<T>, options?: api.TaskOptions): Task<T> {
    const checked = checkTaskOptions(options)
    const isFunction = typeof work === 'function'
    if (!isFunction && typeof (work as PromiseLike<T> | undefined)?.then !== 'function') {
      throw new FST_ERR_TASK_INVALID_ARGUMENT('work', 'a function or a promise', formatValue(work))
    }
    if (this.closed) throw new FST_ERR_TASKS_CLOSED()
    const name = checked.name ?? this.nextName()
    const previous = this.tasks.get(name)
    if (previous !== undefined) {
      if (previous.endedAt === undefined) throw new FST_ERR_TASK_NAME_IN_USE(name)
      this.forget(previous)
    }

    const task = new Task<T>(name, app, this, isFunction ? work : undefined, checked)
    this.tasks.set(name, task)
    if (isFunction) this.schedule(task)
    else task.adopt(work)
    if (task.outerSignal !== undefined) link(task.outerSignal, task)
    return task
  }

  get (name: string): Task | undefined {
    checkName(name)
    return this.tasks.get(name)
  }

  cancel (name: string, reason?: unknown): Promise<boolean> {
    return this.tasks.get(name)?.stop(reason) ?? this.cancelUnknown(name)
  }

  purge (): number {
    const { size } = this.ended
    while (this.ended.oldest !== undefined) this.forget(this.ended.oldest)
    return size
  }

  // --- the app's life ---

  /** The app is ready: starts what was added so far. */
  open (): void {
    const waiting = this.waiting!
    this.waiting = undefined
    for (const schedule of waiting) schedule()
  }

  /** The app has begun to close: requests that wait for a task keep it from going on, but not for longer than `closeTimeout`. */
  prepareClose (): void {
    this.closeTimer ??= setTimeout(async () => {
      this.closed = true
      const tasks = [...this.tasks.values()].filter((task) => !this.mayFinish(task))
      await this.stopAll(tasks)
      // Closing has not come to the tasks yet.
      if (this.closeTimer !== undefined) this.warnOf(tasks, 'Task is still running, and a request that waits for it may keep the app from closing')
    }, this.closeTimeout)
  }

  /** Cancels every task, each in its turn, and waits for them within the time-outs. Names those that go on regardless. */
  async close (): Promise<void> {
    clearTimeout(this.closeTimer)
    this.closeTimer = undefined
    this.closed = true
    const tasks = [...this.tasks.values()]
    const finishing = tasks.filter((task) => this.mayFinish(task))
    await Promise.all([
      this.stopAll(tasks.filter((task) => !this.mayFinish(task))),
      allEnded(finishing, this.closeTimeout).then(() => this.stopAll(finishing))
    ])
    this.warnOf(tasks, 'Task is still running after the app was closed')
  }

  private warnOf (tasks: Task[], message: string): void {
    for (const { name, createdAt, endedAt } of tasks) {
      if (endedAt === undefined) this.log.warn({ task: name, age: Date.now() - createdAt }, message)
    }
  }

  /** A task that waits for an app that was never ready would wait for ever. */
  private mayFinish (task: Task): boolean {
    return task.onClose === 'wait' && (this.waiting === undefined || task.state !== 'pending')
  }

  private cancelAll (tasks: Task[]): void {
    // One error for all: a stack captured for each would be most of the cost.
    const reason = new FST_ERR_TASKS_CLOSED()
    for (const task of tasks) task.cancel(reason)
  }

  private stopAll (tasks: Task[]): Promise<void> {
    this.cancelAll(tasks)
    return allEnded(tasks, this.cancelTimeout)
  }

  // --- what a task asks of its owner ---

  emit (event: keyof api.TaskEvents, task: Task): void {
    this.view.publish(event, task)
  }

  nextTurn (): Promise<void> {
    this.turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.turn = undefined
        resolve()
      })
    })
    return this.turn
  }

  release (task: Task): void {
    if (task.outerSignal !== undefined) unlink(task.outerSignal, task)
    if (!task.named) {
      this.tasks.delete(task.name)
      return
    }
    this.ended.push(task)
    if (this.ended.size > this.keepEnded) this.forget(this.ended.oldest!)
  }

  // --- inside ---

  private schedule (task: Task): void {
    // A turn of its own, after the caller and its reply. Not one for many tasks: each keeps its caller's async context.
    if (this.waiting === undefined) setImmediate(startTask, task)
    else this.waiting.push(later(task))
  }

  private forget (task: Task): void {
    this.ended.remove(task)
    this.tasks.delete(task.name)
  }

  private async cancelUnknown (name: string): Promise<boolean> {
    checkName(name)
    return false
  }

  private nextName (): string {
    let name
    do name = `task-${++this.lastNumber}`
    while (this.tasks.has(name))
    return name
  }
}

function startTask (task: Task): void {
  task.start()
}

// A function of its own: one with a closure in it makes room for that at every call.
function later (task: Task): () => void {
  return AsyncResource.bind(() => { setImmediate(startTask, task) })
}

/** Of a promise that is refused: whoever handed it over has let go of it, and its failure would end the process. */
function logFailure (work: unknown, log: FastifyBaseLogger): void {
  // Of nothing else that has a `then`: some begin their work when it is called.
  if (work instanceof Promise) work.catch((error) => logThrown(log, error, 'A promise that was refused as a task failed'))
}

/** Resolves when all of the tasks have ended, or after `timeout` ms. */
async function allEnded (tasks: Task[], timeout: number): Promise<void> {
  let left = tasks.length
  if (left === 0) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, timeout)
    for (const task of tasks) {
      task.onEnd(() => {
        if (--left > 0) return
        clearTimeout(timer)
        resolve()
      })
    }
  })
}
