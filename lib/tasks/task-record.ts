import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type * as api from '../../types/task'
import { FST_ERR_TASK_CANCELLED, FST_ERR_TASK_EXPIRED, FST_ERR_TASK_TIMEOUT } from '../shared/errors'
import { STATES } from '../shared/control-backend'
import { childOf, describeThrown, logLine, logThrown, releaseFrames } from '../shared/thrown'
import { LinkedNode } from './linked-list'
import { CANCELLED, CANCELLING, COMPLETED, FAILED, HAS_REASON, PENDING, RUNNING, STATE, TIMED_OUT, TOLD, WAITS } from './status'
import type { Task } from './task'
import { TaskExtras, Waiter, type TaskHost } from './task-extras'

/**
 * What a task holds, and how it goes from state to state.
 *
 * All of it is private at run time: nothing can be written from outside, and what compares, prints or clones a task does not walk
 * into the app. What the registry does with a task are static methods, which the user of a task does not meet.
 */
export class TaskRecord<T> extends LinkedNode {
  readonly #name: string
  readonly #app: FastifyInstance
  readonly #host: TaskHost
  #work: api.TaskFunction<T> | undefined
  #status: number
  #sequence = 0
  readonly #createdAt = Date.now()
  // In ms from `createdAt`: a small integer needs no heap number of 16 bytes.
  #startedAfter: number | undefined = undefined
  #endedAfter: number | undefined = undefined
  /** While the task is live, who awaits it. Then the result, or the error. */
  #outcome: unknown = undefined
  #extras: TaskExtras | undefined = undefined

  constructor (name: string, app: FastifyInstance, host: TaskHost, work: api.TaskFunction<T> | undefined, flags: number) {
    super()
    this.#name = name
    this.#app = app
    this.#host = host
    this.#work = work
    this.#status = PENDING | flags
  }

  // --- public getters ---

  get name (): string {
    return this.#name
  }

  get group (): string | undefined {
    return this.#extras?.member?.group.name
  }

  get state (): api.TaskState {
    return STATES[this.#status & STATE]
  }

  get createdAt (): number {
    return this.#createdAt
  }

  get startedAt (): number | undefined {
    return this.#startedAfter === undefined ? undefined : this.#createdAt + this.#startedAfter
  }

  get endedAt (): number | undefined {
    return this.#endedAfter === undefined ? undefined : this.#createdAt + this.#endedAfter
  }

  get progress (): api.TaskProgress | undefined {
    return this.#extras?.progress
  }

  get result (): T | undefined {
    return (this.#status & STATE) === COMPLETED ? this.#outcome as T : undefined
  }

  get error (): unknown {
    return TaskRecord.errorOf(this)
  }

  get signal (): AbortSignal {
    return TaskRecord.signalOf(this)
  }

  static signalOf (task: TaskRecord<any>): AbortSignal {
    const extras = TaskRecord.extrasOf(task)
    if (extras.controller === undefined) {
      extras.controller = new AbortController()
      if (TaskRecord.has(task, TOLD)) {
        extras.controller.abort(extras.reason)
        extras.reason = extras.controller.signal.reason
      }
    }
    return extras.controller.signal
  }

  /** Tells tasks apart for what compares them by their members: they have none. */
  get [Symbol.toStringTag] (): string {
    return #name in this ? `Task ${this.#name} (${this.#sequence})` : 'Task'
  }

  get log (): FastifyBaseLogger {
    const extras = TaskRecord.extrasOf(this)
    extras.childLogger ??= childOf(extras.log ?? this.#app.log, { task: this.#name })
    return extras.childLogger
  }

  // --- for the core ---

  /** `false` for what merely has the class: a clone holds nothing. */
  static isOne (value: object): boolean {
    return #name in value
  }

  static stateOf (task: TaskRecord<any>): number {
    return task.#status & STATE
  }

  // Not by the public members: whoever holds a task could put others in front of them.

  static nameOf (task: TaskRecord<any>): string {
    return task.#name
  }

  static isLive (task: TaskRecord<any>): boolean {
    return (task.#status & STATE) <= CANCELLING
  }

  static has (task: TaskRecord<any>, flag: number): boolean {
    return (task.#status & flag) !== 0
  }

  static sequenceOf (task: TaskRecord<any>): number {
    return task.#sequence
  }

  static setSequence (task: TaskRecord<any>, sequence: number): void {
    task.#sequence = sequence
  }

  static appOf (task: TaskRecord<any>): FastifyInstance {
    return task.#app
  }

  static hostOf (task: TaskRecord<any>): TaskHost {
    return task.#host
  }

  /** What only some tasks have, or `undefined` if the task has none of it. */
  static peek (task: TaskRecord<any>): TaskExtras | undefined {
    return task.#extras
  }

  static extrasOf (task: TaskRecord<any>): TaskExtras {
    task.#extras ??= new TaskExtras()
    return task.#extras
  }

  /** Releases the closure: the task may run long after the call. */
  static takeWork<T> (task: TaskRecord<T>): api.TaskFunction<T> {
    const work = task.#work!
    task.#work = undefined
    return work
  }

  static waiterOf<T> (task: TaskRecord<T>): Waiter<T> | undefined {
    return task.#outcome as Waiter<T> | undefined
  }

  static setWaiter<T> (task: TaskRecord<T>, waiter: Waiter<T>): void {
    task.#outcome = waiter
  }

  static errorOf (task: TaskRecord<any>): unknown {
    const state = task.#status & STATE
    // That of a cancelled task is made when asked for.
    if (state === CANCELLED) task.#outcome ??= cancelledError(task)
    return state === CANCELLED || state === FAILED ? task.#outcome : undefined
  }

  // --- transitions ---

  static #move (task: TaskRecord<any>, state: number): void {
    const from = task.#status & STATE
    task.#status += state - from
    task.#host.tally.move(from, state)
    task.#extras?.member?.group.tally.move(from, state)
  }

  static markRunning (task: Task<any>): void {
    const extras = task.#extras
    TaskRecord.#move(task, RUNNING)
    task.#startedAfter = Date.now() - task.#createdAt
    if (extras !== undefined) {
      if (!(TaskRecord.has(task, WAITS) && task.#host.isClosing)) extras.lease?.start()
      if (extras.timeout !== undefined) TaskRecord.#startTimeout(task, extras)
    }
    task.#host.emit('start', task)
  }

  // Separate function: a closure in `markRunning` would allocate a context on every call.
  static #startTimeout (task: Task<any>, extras: TaskExtras): void {
    extras.startTimeout((ms) => TaskRecord.tell(task, new FST_ERR_TASK_TIMEOUT(task.#name, ms), TIMED_OUT))
  }

  /** Of a pending or running task. The state first: a listener of the signal may look at the task, or add another of its name. */
  static tell (task: Task<any>, reason: unknown, flag = 0): void {
    const extras = TaskRecord.extrasOf(task)
    const { controller } = extras
    task.#status |= TOLD | flag
    if (reason !== undefined) task.#status |= HAS_REASON
    // Node's own, if somebody may see it.
    extras.reason = reason === undefined && controller !== undefined ? AbortSignal.abort().reason : reason
    extras.stopTimers()
    if (TaskRecord.stateOf(task) === PENDING) TaskRecord.endStopped(task)
    else TaskRecord.#move(task, CANCELLING)
    controller?.abort(extras.reason)
  }

  /** The function has stopped after its signal aborted, or was never called. */
  static endStopped (task: Task<any>): void {
    if (TaskRecord.has(task, TIMED_OUT)) TaskRecord.end(task, FAILED, task.#extras!.reason)
    else TaskRecord.end(task, CANCELLED, undefined)
  }

  static end (task: Task<any>, state: number, outcome: unknown): void {
    const waiter = TaskRecord.waiterOf(task)
    task.#work = undefined
    task.#endedAfter = Date.now() - task.#createdAt
    task.#outcome = outcome
    task.#extras?.stopTimers()
    TaskRecord.#move(task, state)
    task.#host.onTaskEnd(task)
    if (state !== COMPLETED) TaskRecord.#logEnd(task, state, waiter !== undefined)
    task.#host.emit('end', task)
    if (waiter !== undefined) {
      if (state === COMPLETED) waiter.resolve(outcome)
      else waiter.reject(TaskRecord.errorOf(task))
    }
    if (state !== COMPLETED) releaseFrames(task.#outcome ?? task.#extras?.reason)
    if (task.#extras !== undefined) TaskRecord.#letGo(task, task.#extras)
  }

  static #logEnd (task: Task<any>, state: number, isAwaited: boolean): void {
    const { log = task.#app.log, reason } = task.#extras ?? {}
    if (state === CANCELLED) logLine(log, 'debug', 'Task cancelled', { task: task.#name, reason })
    // If someone awaits the task, they receive the error and log it.
    else if (!isAwaited) logThrown(log, task.#outcome, `Task failed: ${task.#name}`, { task: task.#name })
  }

  /** An ended task keeps its outcome, and nothing of what it was added with. */
  static #letGo (task: Task<any>, extras: TaskExtras): void {
    const { endCallbacks } = extras
    task.#extras = extras.letGo()
    endCallbacks?.forEach((callback) => callback())
  }

  /** Calls back when the live task ends. */
  static onEnd (task: TaskRecord<any>, callback: () => void): void {
    (TaskRecord.extrasOf(task).endCallbacks ??= []).push(callback)
  }
}

function cancelledError (task: TaskRecord<any>): Error {
  const cause = TaskRecord.peek(task)?.reason ?? TaskRecord.signalOf(task).reason
  // Not `instanceof`: the cause may be anything, and that looks into it.
  const Cancelled = describeThrown(cause).code === 'FST_ERR_TASK_EXPIRED' ? FST_ERR_TASK_EXPIRED : FST_ERR_TASK_CANCELLED
  const error = new Cancelled(TaskRecord.nameOf(task), { cause })
  releaseFrames(error)
  return error
}
