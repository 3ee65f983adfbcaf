import { AsyncResource } from 'node:async_hooks'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type * as api from '../../types/task'
import { FST_ERR_TASKS_CLOSED, FST_ERR_TASK_CANCEL_TIMEOUT, FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_NAME_IN_USE } from '../shared/errors'
import { formatValue } from '../shared/option-checks'
import { kStoppedByJobs, type StoppedByJobs } from '../shared/stopped-by-jobs'
import { logLine, logRejectionOf } from '../shared/thrown'
import { subscribe, unsubscribe } from './abort-links'
import { Closing, type ClosingHost } from './closing'
import { EndedTasks } from './ended-tasks'
import { checkFilter, checkNarrowingFilter, matches } from './filter'
import { startTask, TaskGroups } from './groups'
import { LeaseClocks } from './lease-clock'
import { checkGroup, checkGroupLimits, checkName, checkTaskOptions, isThenable } from './options'
import { OrderedLog } from './ordered-log'
import { NAMED, STOPPED_BY_JOBS, WAITS } from './status'
import { Tally } from './tally'
import { Task } from './task'
import type { TaskHost } from './task-extras'
import { timers } from '../shared/timers'
import { TasksView } from './view'
import { allEnded } from './waiting'

type RegistryOptions = Required<Pick<api.FastifyTasksOptions, 'cancelTimeout' | 'closeTimeout' | 'keepEnded'>>

type Work<T> = api.TaskFunction<T> | PromiseLike<T>

/** The tasks of an app by name: the live ones, which it owns, and the named ones that have ended. */
export class TaskRegistry implements TaskHost, ClosingHost {
  readonly view: TasksView
  readonly cancelTimeout: number
  readonly closeTimeout: number
  readonly tally = new Tally(() => this.nextImmediate())
  /** The groups that tasks have, and those with limits. */
  readonly groups = new TaskGroups(() => this.nextImmediate())
  readonly #keepEnded: number
  readonly #tasks = new Map<string, Task>()
  readonly #order = new OrderedLog<Task>(Task.sequenceOf)
  readonly #ended = new EndedTasks()
  readonly #leaseClocks = new LeaseClocks<Task>(Task.expire)
  readonly #closing = new Closing(this)
  /** Until the app is ready: what starts then, in the order added, and the async context of its caller. */
  #pendingStarts: Map<Task, AsyncResource> | undefined = new Map()
  #immediate: Promise<void> | undefined
  #lastNumber = 0

  constructor (readonly log: FastifyBaseLogger, options: RegistryOptions) {
    this.#keepEnded = options.keepEnded
    this.cancelTimeout = options.cancelTimeout
    this.closeTimeout = options.closeTimeout
    this.view = new TasksView(this.#tasks, this)
  }

  // --- the calls of users ---

  /** @param log the logger of the task, unless the options name another */
  add<T> (app: FastifyInstance, work: Work<T>, options?: api.TaskOptions, log?: FastifyBaseLogger): Task<T> {
    try {
      return this.create(app, work, checkTaskOptions(options), log)
    } catch (error) {
      // Whoever handed a promise over has let go of it, and its failure would end the process.
      logRejectionOf(work, this.log, 'A promise that addTask had refused has rejected')
      throw error
    }
  }

  private create<T> (app: FastifyInstance, work: Work<T>, options: api.TaskOptions, defaultLog?: FastifyBaseLogger): Task<T> {
    const isFunction = typeof work === 'function'
    if (!isFunction && !isThenable(work)) throw new FST_ERR_TASK_INVALID_ARGUMENT('work', 'a function or a promise', formatValue(work))
    const { signal, group: label, log = defaultLog } = options
    const mayWait = options.onClose === 'wait'
    if (!this.#closing.accepts({ mayFinish: mayWait && (!isFunction || this.isReady) })) throw new FST_ERR_TASKS_CLOSED()
    const name = options.name ?? this.nextName()
    const previous = this.#tasks.get(name)
    if (previous !== undefined && Task.isLive(previous)) throw new FST_ERR_TASK_NAME_IN_USE(name)
    if (label !== undefined && isFunction) this.groups.get(label)?.checkRoom()

    const task = new Task<T>(name, app, this, isFunction ? work : undefined, (options.name === undefined ? 0 : NAMED) | (mayWait ? waitingFlags(options) : 0))
    // The first that may fail, for it is not ours: nothing has been added yet.
    const aborted = signal && subscribe(signal, task)
    if (previous !== undefined) this.forget(previous)
    this.#tasks.set(name, task)
    Task.setSequence(task, this.#order.append(task))
    this.tally.add()
    if (mayWait) this.#closing.enter()
    if (log !== undefined) Task.extrasOf(task).log = log
    if (signal !== undefined) Task.extrasOf(task).parentSignal = signal
    if (options.timeout !== undefined) Task.extrasOf(task).timeout = options.timeout
    if (options.ttl !== undefined) Task.extrasOf(task).lease = this.#leaseClocks.lease(options.ttl, task)
    if (label !== undefined) Task.extrasOf(task).member = this.groups.getOrCreate(label).join(task, { isRunning: !isFunction })
    if (isFunction) this.schedule(task)
    else Task.track(task, work)
    if (aborted !== undefined) Task.cancel(task, aborted.reason)
    return task
  }

  get (name: string): Task | undefined {
    checkName(name)
    return this.#tasks.get(name)
  }

  find (filter: api.TaskFilter = {}): Task[] {
    const { group } = checkFilter(filter)
    const candidates = group === undefined ? Array.from(this.#tasks.values()) : this.groups.get(group)?.tasks ?? []
    return candidates.filter((task) => matches(task, filter))
  }

  cancel (name: string, reason?: unknown): Promise<boolean> {
    const task = this.#tasks.get(name)
    return task === undefined ? cancelUnknown(name) : Task.cancelAndWait(task, reason)
  }

  /** Cancels all that are live and match, at once. Resolves to how many have stopped. */
  async cancelAll (filter: api.TaskFilter, reason?: unknown): Promise<number> {
    const tasks = this.find(checkNarrowingFilter(filter)).filter((task) => Task.isLive(task))
    for (const task of tasks) Task.cancel(task, reason)
    await this.nextImmediate()
    const remaining = await allEnded(tasks, this.cancelTimeout)
    if (remaining.length > 0) throw new FST_ERR_TASK_CANCEL_TIMEOUT(remaining.map((task) => Task.nameOf(task)), this.cancelTimeout)
    return tasks.length
  }

  purge (): number {
    const { size } = this.#ended
    while (this.#ended.oldest !== undefined) this.forget(this.#ended.oldest)
    return size
  }

  defineGroup (name: string, limits: api.TaskGroupLimits = {}): void {
    checkGroup(name)
    const checked = checkGroupLimits(limits)
    this.groups.getOrCreate(name).limit(checked)
  }

  async onIdle (group?: string): Promise<void> {
    if (group !== undefined) checkGroup(group)
    await (group === undefined ? this.tally.whenIdle() : this.groups.whenIdle(group))
  }

  // --- for the control routes ---

  /**
   * The tasks added before this sequence number (`Task.sequenceOf`), the newest first. Finding the first costs O(log n). Nothing
   * may be removed during the walk: read a page, and go on from the number of its last task.
   */
  newestFirst (beforeSequence = Infinity): Iterable<Task> {
    return this.#order.newestFirst(beforeSequence)
  }

  /** The tasks added after this sequence number, the oldest first; else as `newestFirst`. */
  oldestFirst (afterSequence: number): Iterable<Task> {
    return this.#order.oldestFirst(afterSequence)
  }

  // --- the app's life ---

  get isReady (): boolean {
    return this.#pendingStarts === undefined
  }

  get isClosing (): boolean {
    return this.#closing.hasBegun
  }

  /** Starts what was added so far. */
  onReady (): void {
    const pending = this.#pendingStarts!
    this.#pendingStarts = undefined
    for (const [task, resource] of pending) resource.runInAsyncScope(timers.setImmediate, null, startTask, task)
  }

  preClose (): void {
    this.#closing.preClose()
  }

  async onClose (): Promise<void> {
    await this.#closing.onClose()
    // Of an app that never became ready: nothing starts any more.
    this.#pendingStarts?.clear()
  }

  get liveTasks (): Task[] {
    return this.find({ state: ['pending', 'running', 'cancelling'] })
  }

  // --- what a task asks of its host ---

  emit (event: keyof api.TaskEvents, task: Task): void {
    TasksView.publish(this.view, event, task)
  }

  nextImmediate (): Promise<void> {
    this.#immediate ??= new Promise((resolve) => {
      timers.setImmediate(() => {
        this.#immediate = undefined
        resolve()
      }, undefined)
    })
    return this.#immediate
  }

  onTaskEnd (task: Task): void {
    const extras = Task.peek(task)
    if (extras !== undefined) {
      if (extras.parentSignal !== undefined) unsubscribe(extras.parentSignal, task)
      extras.member?.group.release(extras.member)
    }
    if (Task.has(task, WAITS)) this.#closing.leave()
    if (!Task.has(task, NAMED)) return this.remove(task)
    this.#ended.push(task)
    if (this.#ended.size > this.#keepEnded) this.forget(this.#ended.oldest!)
  }

  onPendingAwaited (task: Task): void {
    if (!this.isReady) this.warnIfStillPending(task)
  }

  // --- inside ---

  private schedule (task: Task): void {
    // One immediate per task keeps each caller's AsyncLocalStorage context.
    if (this.#pendingStarts === undefined) timers.setImmediate(startTask, task)
    else this.#pendingStarts.set(task, new AsyncResource('FastifyTask'))
  }

  private async warnIfStillPending (task: Task): Promise<void> {
    // What awaits `app.ready()` goes on just before the tasks start.
    await this.nextImmediate()
    if (this.isReady) return
    logLine(this.log, 'warn', 'Task is awaited before the app is ready, and starts only then: a plugin or an onReady hook that waits for it times out', { task: Task.nameOf(task) })
  }

  private forget (ended: Task): void {
    this.#ended.remove(ended)
    this.remove(ended)
  }

  private remove (ended: Task): void {
    this.#tasks.delete(Task.nameOf(ended))
    this.#order.remove(ended)
    this.tally.remove(Task.stateOf(ended))
    const member = Task.peek(ended)?.member
    if (member !== undefined) this.groups.leave(member)
  }

  private nextName (): string {
    let name
    do name = `task-${++this.#lastNumber}`
    while (this.#tasks.has(name))
    return name
  }
}

function waitingFlags (options: api.TaskOptions & StoppedByJobs): number {
  return options[kStoppedByJobs] === true ? WAITS | STOPPED_BY_JOBS : WAITS
}

// Of its own: an `async` `cancel` would take three times the memory for each of many.
async function cancelUnknown (name: unknown): Promise<boolean> {
  checkName(name)
  return false
}
