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
 * - `failed`: it threw
 * - `cancelled`: it stopped because it was told to, or was never started
 */
export type TaskState = 'pending' | 'running' | 'cancelling' | 'completed' | 'failed' | 'cancelled'

/** How far a task has come: a number from 0 to 100, or a JSON object. */
export type TaskProgress = number | Record<string, unknown>

/**
 * The work of a task. It gets the instance on which `addTask` was called, as `this` and as its first argument,
 * and the task itself, whose `signal` tells when to stop.
 */
export type TaskFunction<T = unknown> = (this: FastifyInstance, app: FastifyInstance, task: Task) => T | PromiseLike<T>

/** What `app.addTask` takes besides the work. */
export interface TaskOptions {
  /** Non-empty and unique among live tasks. Left out, the task is called `task-1`, `task-2`, … and is forgotten when it ends. */
  name?: string
  /**
   * A lease in ms, an integer from 1 to 2³¹−1: the task is cancelled when {@link Task.heartbeat} has not renewed it for
   * that long. Runs from the task's start. A lower bound: never early, and a blocked event loop does not count.
   */
  ttl?: number
  /** Cancels the task too, with its own reason. `AbortSignal.timeout(ms)` makes a deadline. */
  signal?: AbortSignal
  /** Whether `app.close()` cancels the task at once (`'cancel'`, the default) or lets it finish within `closeTimeout` (`'wait'`). */
  onClose?: 'cancel' | 'wait'
}

/** A task as plain JSON: what may be sent to a client or a log. Times are ms since the epoch. */
export interface TaskSnapshot {
  name: string
  state: TaskState
  createdAt: number
  startedAt?: number
  endedAt?: number
  progress?: TaskProgress
  /** `ttl` and what is left of it, both in ms. Only a live task has one. */
  lease?: { ttl: number, remaining: number }
  /** Why a task failed or was cancelled. */
  error?: { code?: string, message: string, stack?: string }
}

/** Work that runs in this process. Awaiting it gives its result. */
export interface Task<T = unknown> extends PromiseLike<T>, AsyncDisposable {
  readonly name: string
  readonly state: TaskState
  /** Aborts when the task is told to stop; its `reason` says why. Made when first asked for. */
  readonly signal: AbortSignal
  /** What the function returned, once the task is `completed`. */
  readonly result: T | undefined
  /** What the function threw, once the task is `failed`; a coded error once it is `cancelled`. */
  readonly error: unknown
  /** The last value given to {@link Task.updateProgress}. */
  readonly progress: TaskProgress | undefined
  /** A child of the app's logger that carries the task's name. Made when first asked for. */
  readonly log: FastifyBaseLogger
  /** Ms since the epoch. */
  readonly createdAt: number
  /** Ms since the epoch; `undefined` until the task has started. */
  readonly startedAt: number | undefined
  /** Ms since the epoch; `undefined` while the task is live. */
  readonly endedAt: number | undefined
  /**
   * Requests that the task stop: aborts {@link Task.signal} with the reason. Does not wait; a task that has not started
   * ends at once and its function is never called. The reason of the first request stands.
   * @returns `true` if this call made the request
   */
  cancel (reason?: unknown): boolean
  /**
   * Renews the lease. Costs less than reading a clock, so it may be called for every message of a client.
   * @returns `false` once the task has ended or is being cancelled
   */
  heartbeat (): boolean
  /**
   * Publishes how far the task has come. Keeps a copy. Does nothing once the task has ended.
   * @throws FST_ERR_TASK_INVALID_ARGUMENT when the value is neither a number from 0 to 100 nor a JSON object
   */
  updateProgress (value: TaskProgress): void
  /** A snapshot that is safe to send: never the result. */
  toJSON (): TaskSnapshot
  /**
   * Cancels the task and waits until it has stopped, so that `await using` leaves nothing behind.
   * @throws FST_ERR_TASK_CANCEL_TIMEOUT when it is still running after `cancelTimeout` ms
   */
  [Symbol.asyncDispose] (): Promise<void>
}

/** What {@link Tasks} tells its listeners, each with the task. */
export interface TaskEvents {
  start: [task: Task]
  progress: [task: Task]
  end: [task: Task]
}

/**
 * The tasks of an app: the live ones, and the named ones that have ended and were not purged, in the order added.
 * A listener that throws is logged; it disturbs neither the task nor the other listeners.
 */
export interface Tasks extends Iterable<Task>, Pick<EventEmitter<TaskEvents>, 'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'listenerCount'> {
  /** How many there are, ended ones included. */
  readonly size: number
}

/** Options of the plugin. */
export interface FastifyTasksOptions {
  /** How long a cancel waits for the task to stop, in ms. Default 5,000. */
  cancelTimeout?: number
  /** How long `app.close()` waits for tasks added with `onClose: 'wait'` before it cancels them too, in ms. Default 10,000. */
  closeTimeout?: number
  /** How many ended named tasks are kept for `getTask` until they are purged; the oldest leaves first. Default 1,000. */
  keepEnded?: number
  /**
   * Carries control between processes: the routes, the feed and the dashboard serve the tasks of all that share it. An
   * mqemitter, such as `mqemitter-redis`. It is not closed with the app. Left out, they serve the tasks of this process.
   */
  emitter?: Emitter
  /** How long an answer waits for another process before it names it as missing, in ms. Default 1,000. */
  peerTimeout?: number
}
