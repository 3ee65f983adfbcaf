import type { EventEmitter } from 'node:events'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Emitter } from './process'

/**
 * Where a task stands. The first three are *live*.
 *
 * - `pending`: added, not started
 * - `running`: its function has been called, or its promise was handed over
 * - `cancelling`: a stop was requested and it has not stopped yet
 * - `completed`: it returned
 * - `failed`: it threw, or ran longer than its `timeout`
 * - `cancelled`: it stopped after a cancel, or was never started
 */
export type TaskState = 'pending' | 'running' | 'cancelling' | 'completed' | 'failed' | 'cancelled'

/** Progress of a task: a number from 0 to 100, or a JSON object. */
export type TaskProgress = number | Record<string, unknown>

/**
 * The work of a task. It gets the instance on which `addTask` was called, as `this` and as its first argument,
 * and the task itself, whose `signal` aborts when it must stop.
 */
export type TaskFunction<T = unknown> = (this: FastifyInstance, app: FastifyInstance, task: Task) => T | PromiseLike<T>

/** What `app.addTask` takes besides the work. */
export interface TaskOptions {
  /** Non-empty and unique among live tasks. Default: `task-1`, `task-2`, …; such a task is removed when it ends. */
  name?: string
  /** The group that the task belongs to, non-empty. A group needs no declaration; `app.defineTaskGroup` gives it limits. */
  group?: string
  /**
   * A lease in ms, an integer from 1 to 2³¹−1: the task is cancelled when {@link Task.heartbeat} has not renewed it for
   * that long. Runs from the task's start. A lower bound: never early, and a blocked event loop does not count.
   */
  ttl?: number
  /**
   * In ms from the task's start, an integer from 1 to 2³¹−1. Then the task's signal aborts with FST_ERR_TASK_TIMEOUT, and the task
   * is `failed` with that error once its function has stopped.
   */
  timeout?: number
  /** Cancels the task too, with its own reason. `AbortSignal.timeout(ms)` makes a deadline that counts from now. */
  signal?: AbortSignal
  /**
   * Whether `app.close()` cancels the task at once (`'cancel'`, the default) or lets it finish within `closeTimeout` (`'wait'`).
   * The lease of a task that may finish no longer expires once closing has begun.
   */
  onClose?: 'cancel' | 'wait'
  /** The logger that {@link Task.log} is a child of, and that logs the task's failure. Default: the app's. */
  log?: FastifyBaseLogger
}

/** Which tasks are meant: those that match every member that is set. */
export interface TaskFilter {
  group?: string
  /** One state or several. */
  state?: TaskState | readonly TaskState[]
  /** What the name begins with, non-empty. */
  prefix?: string
}

/** The limits of a group, for `app.defineTaskGroup`. */
export interface TaskGroupLimits {
  /**
   * How many tasks of the group run at once, a positive integer. The others are pending, and start in the order added. A promise
   * runs already: it takes a place, beyond this number if need be.
   */
  concurrency?: number
  /** How many tasks may wait for a place, a positive integer. `addTask` throws FST_ERR_TASK_GROUP_FULL for one more. */
  maxPending?: number
}

/** A task as plain JSON: what may be sent to a client or a log. Times are ms since the epoch. */
export interface TaskSnapshot {
  name: string
  group?: string
  state: TaskState
  createdAt: number
  startedAt?: number
  endedAt?: number
  progress?: TaskProgress
  /** `ttl` and the time left, both in ms. Only a live task has one. */
  lease?: { ttl: number, remaining: number }
  /** The reason of its cancel, or its timeout, if one was given. */
  reason?: { code?: string, message: string }
  /** Why a task failed or was cancelled. */
  error?: { code?: string, message: string }
}

/** A background task of this process. Thenable: resolves to its result. */
export interface Task<T = unknown> extends PromiseLike<T>, AsyncDisposable {
  readonly name: string
  readonly group: string | undefined
  readonly state: TaskState
  /** Aborts when the task must stop; its `reason` is that of the cancel. Made when first asked for. */
  readonly signal: AbortSignal
  /** What the function returned, once the task is `completed`. */
  readonly result: T | undefined
  /** What the function threw, or FST_ERR_TASK_TIMEOUT, once the task is `failed`; a coded error once it is `cancelled`. */
  readonly error: unknown
  /** The last value given to {@link Task.updateProgress}. */
  readonly progress: TaskProgress | undefined
  /** A child of the option `log`, or of the app's logger, that carries the task's name. Made when first asked for. */
  readonly log: FastifyBaseLogger
  /** Ms since the epoch. */
  readonly createdAt: number
  /** Ms since the epoch; `undefined` until the task has started. */
  readonly startedAt: number | undefined
  /** Ms since the epoch; `undefined` while the task is live. */
  readonly endedAt: number | undefined
  /**
   * Requests that the task stop: aborts {@link Task.signal} with the reason. Does not wait; a task that has not started
   * ends at once and its function is never called. The first reason is kept.
   * @returns `true` if this call made the request
   */
  cancel (reason?: unknown): boolean
  /**
   * Renews the lease. Costs less than reading a clock, so it may be called for every message of a client.
   * @returns `false` once the task has ended or is being cancelled
   */
  heartbeat (): boolean
  /**
   * Publishes the progress. Keeps a copy. Does nothing once the task has ended.
   * @throws FST_ERR_TASK_INVALID_ARGUMENT when the value is neither a number from 0 to 100 nor a JSON object
   */
  updateProgress (value: number | object): void
  /** A snapshot that is safe to send. Does not include the result. */
  toJSON (): TaskSnapshot
  /**
   * Cancels the task and waits until it has stopped, so that `await using` leaves nothing behind.
   * @throws FST_ERR_TASK_CANCEL_TIMEOUT when it is still running after `cancelTimeout` ms
   */
  [Symbol.asyncDispose] (): Promise<void>
}

/** The events of {@link Tasks}, each with the task. */
export interface TaskEvents {
  start: [task: Task]
  progress: [task: Task]
  end: [task: Task]
}

/**
 * The tasks of an app: the live ones, and the named ones that have ended and were not purged, in the order added.
 * A listener that throws is logged; it disturbs neither the task nor the other listeners. `events.on` and `events.once` take it.
 */
export interface Tasks extends Iterable<Task>, EventEmitter<TaskEvents> {
  /** How many there are, ended ones included. */
  readonly size: number
  /** How many are live. */
  readonly live: number
  /**
   * Resolves when no task, or none of the group, is live: at once if so. Tasks added meanwhile count.
   * @throws FST_ERR_TASK_INVALID_ARGUMENT when the group is not a non-empty string
   */
  onIdle (group?: string): Promise<void>
}

/** Options of the plugin. */
export interface FastifyTasksOptions {
  /** How long a cancel waits for the task to stop, in ms. Default 5,000. */
  cancelTimeout?: number
  /** How long `app.close()` waits for tasks added with `onClose: 'wait'` before it cancels them too, in ms. Default 10,000. */
  closeTimeout?: number
  /** How many ended named tasks are kept for `getTask` until they are purged; the oldest is removed first. Default 1,000. */
  keepEnded?: number
  /**
   * Carries control between processes: the routes, the feed and the dashboard serve the tasks of all that share it. An
   * mqemitter, such as `mqemitter-redis`. It is not closed with the app. Left out, they serve the tasks of this process.
   */
  emitter?: Emitter
  /** How long a request waits for another process before the answer names it as missing, in ms. Default 1,000. */
  peerTimeout?: number
}
