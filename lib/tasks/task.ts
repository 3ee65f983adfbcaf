import { inspect } from 'node:util'
import type * as api from '../../types/task'
import { FST_ERR_TASK_CANCEL_TIMEOUT, FST_ERR_TASK_EXPIRED, FST_ERR_TASK_SELF_RESULT } from '../shared/errors'
import { describeThrown, isAbortError } from '../shared/thrown'
import { checkProgress } from './options'
import { CANCELLED, COMPLETED, FAILED, HAS_REASON, PENDING, RUNNING, TIMED_OUT, TOLD } from './status'
import { Waiter } from './task-extras'
import { TaskRecord } from './task-record'
import { timers } from '../shared/timers'
import { isTraced, traceCall, traceRejection, traceReturn, type RunMessage } from './tracing'

/**
 * One task: pending → running → (cancelling →) completed, failed or cancelled.
 *
 * Most tasks are never awaited, cancelled, leased or logged: what is needed for that is made when it is asked for.
 */
export class Task<T = unknown> extends TaskRecord<T> implements api.Task<T> {
  /**
   * Never added, and never let go: at a full garbage collection that finds no task alive, V8 discards the hidden class of tasks, and
   * with it all code that was optimised for it. A batch of tasks then costs twice the CPU time.
   */
  static readonly sample = new Task('', undefined!, undefined!, undefined, 0)

  static {
    Task.setWaiter(Task.sample, new Waiter())
  }

  // --- running: for the registry ---

  /** Calls the function, unless the task was cancelled before. */
  static start<T> (task: Task<T>): void {
    if (Task.stateOf(task) !== PENDING) return
    Task.markRunning(task)
    // A listener of 'start' may have cancelled it.
    if (Task.has(task, TOLD)) return Task.endStopped(task)
    const message = isTraced() ? { task } : undefined
    let outcome
    try {
      outcome = message === undefined ? invoke(task) : traceCall(message, invoke, task)
    } catch (error) {
      return fail(task, error)
    }
    if (message === undefined) settleWith(task, outcome)
    else settleTraced(task, outcome, message)
  }

  /** Takes its outcome from what is already running. */
  static track<T> (task: Task<T>, promise: PromiseLike<T>): void {
    Task.markRunning(task)
    settleWith(task, promise)
  }

  /** Cancels because the lease was not renewed. */
  static expire (task: Task<any>): void {
    Task.cancel(task, new FST_ERR_TASK_EXPIRED(Task.nameOf(task)))
  }

  /** Requests the stop. @returns whether this call made the request */
  static cancel (task: Task<any>, reason?: unknown): boolean {
    if (!isGoing(task)) return false
    Task.tell(task, reason)
    return true
  }

  // --- commands ---

  cancel (reason?: unknown): boolean {
    return Task.cancel(this, reason)
  }

  heartbeat (): boolean {
    if (!isGoing(this)) return false
    Task.peek(this)?.lease?.renew()
    return true
  }

  updateProgress (value: number | object): void {
    const progress = checkProgress(value)
    if (!Task.isLive(this)) return
    Task.extrasOf(this).progress = progress
    Task.hostOf(this).emit('progress', this)
  }

  toJSON (): api.TaskSnapshot {
    const { name, group, state, createdAt, startedAt, endedAt, progress } = this
    const { lease, reason } = Task.peek(this) ?? {}
    return {
      name,
      group,
      state,
      createdAt,
      startedAt,
      endedAt,
      progress,
      lease: lease && isGoing(this) ? { ttl: lease.ttl, remaining: lease.remaining } : undefined,
      reason: Task.has(this, HAS_REASON) ? describeThrown(reason) : undefined,
      error: state === 'failed' || state === 'cancelled' ? describeThrown(this.error) : undefined
    }
  }

  [inspect.custom] (): object {
    return Task.isOne(this) ? this.toJSON() : {}
  }

  // --- waiting ---

  then<R1 = T, R2 = never> (
    onfulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onrejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null
  ): Promise<R1 | R2> {
    return promiseOf(this).then(onfulfilled, onrejected)
  }

  /**
   * Cancels the task and waits until it has stopped.
   * @returns `false` if it had ended before
   * @throws FST_ERR_TASK_CANCEL_TIMEOUT
   */
  static cancelAndWait (task: Task<any>, reason?: unknown): Promise<boolean> {
    if (!Task.isLive(task)) return Promise.resolve(false)
    Task.cancel(task, reason)
    // Most tasks stop within the immediate: a timer for each would cost as much as its cancel.
    return Task.hostOf(task).nextImmediate().then(() => !Task.isLive(task) || waitForStop(task))
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await Task.cancelAndWait(this)
  }
}

/** Whether the task has not been told to stop. */
function isGoing (task: Task<any>): boolean {
  const state = Task.stateOf(task)
  return state === PENDING || state === RUNNING
}

function invoke<T> (task: Task<T>): T | PromiseLike<T> {
  const app = Task.appOf(task)
  const outcome = Task.takeWork(task).call(app, app, task)
  if (outcome === task) throw new FST_ERR_TASK_SELF_RESULT(Task.nameOf(task))
  return outcome
}

function settleWith<T> (task: Task<T>, outcome: T | PromiseLike<T>): void {
  adopt(outcome, (result) => complete(task, result), (error) => fail(task, error))
}

function settleTraced<T> (task: Task<T>, outcome: T | PromiseLike<T>, message: RunMessage): void {
  adopt(outcome, (result) => {
    traceReturn(message, result)
    complete(task, result)
  }, (error) => {
    traceRejection(message, error)
    fail(task, error)
  })
}

/** Calls back once, and later, whatever the promise does. Its `then` is called once. */
function adopt<T> (outcome: T | PromiseLike<T>, onResult: (result: T) => void, onError: (error: unknown) => void): void {
  try {
    const promise = Promise.resolve(outcome) as Promise<T>
    // A native promise may have a `then` of its own that throws or calls back twice: another promise takes care of both.
    if (promise.then === Promise.prototype.then) promise.then(onResult, onError)
    else new Promise<T>((resolve) => resolve(promise)).then(onResult, onError)
  } catch (error) { // A getter of it has: `then`, `constructor`.
    Promise.reject(error).catch(onError)
  }
}

function complete<T> (task: Task<T>, result: T): void {
  if (Task.has(task, TOLD)) Task.endStopped(task)
  else Task.end(task, COMPLETED, result)
}

function fail (task: Task<any>, error: unknown): void {
  if (Task.has(task, TOLD) && (Task.has(task, TIMED_OUT) || isAbortError(error) || isReason(task, error))) Task.endStopped(task)
  else Task.end(task, FAILED, error)
}

function isReason (task: Task<any>, error: unknown): boolean {
  const { reason } = Task.extrasOf(task)
  return reason !== undefined && Object.is(error, reason)
}

function promiseOf<T> (task: Task<T>): Promise<T> {
  const state = Task.stateOf(task)
  if (state === COMPLETED) return Promise.resolve(task.result as T)
  if (state === FAILED || state === CANCELLED) return Promise.reject(Task.errorOf(task))
  let waiter = Task.waiterOf(task)
  if (waiter === undefined) {
    if (state === PENDING) Task.hostOf(task).onPendingAwaited(task)
    Task.setWaiter(task, waiter = new Waiter())
  }
  return waiter.promise
}

function waitForStop (task: Task<any>): Promise<boolean> {
  const extras = Task.extrasOf(task)
  extras.stopWait ??= new Promise((resolve, reject) => {
    const { cancelTimeout } = Task.hostOf(task)
    const timer = timers.setTimeout(() => {
      extras.stopWait = undefined
      reject(new FST_ERR_TASK_CANCEL_TIMEOUT(Task.nameOf(task), cancelTimeout))
    }, cancelTimeout, undefined)
    Task.onEnd(task, () => {
      timers.clearTimeout(timer)
      resolve(true)
    })
  })
  return extras.stopWait
}
