import { inspect } from 'node:util'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type * as api from '../../types/task'
import { FST_ERR_TASK_CANCELLED, FST_ERR_TASK_CANCEL_TIMEOUT, FST_ERR_TASK_EXPIRED, FST_ERR_TASK_SELF_RESULT } from '../shared/errors'
import { clockFor, type LeaseClock, type LeaseHolder } from './lease-clock'
import { checkProgress } from './options'
import { Place } from './linked-list'
import { runChannel } from './tracing'
import { describeThrown, isAbortError, logThrown } from '../shared/thrown'

/** Who keeps the task under its name and tells its listeners. */
export interface TaskOwner {
  /** In ms. */
  readonly cancelTimeout: number
  /** The event loop's next turn, one promise for all who wait for it. */
  nextTurn (): Promise<void>
  emit (event: keyof api.TaskEvents, task: Task): void
  /** The task has ended: its name is free. */
  release (task: Task): void
}

/**
 * One task: pending → running → (cancelling →) completed, failed or cancelled.
 *
 * Most tasks are never awaited, cancelled, leased or logged, so what is needed for that is made when it is asked for.
 */
export class Task<T = unknown> extends Place implements api.Task<T>, LeaseHolder {
  readonly createdAt = Date.now()
  startedAt: number | undefined = undefined
  endedAt: number | undefined = undefined
  state: api.TaskState = 'pending'
  /** A task without a name of the user's is forgotten when it ends. */
  readonly named: boolean
  /** The result or the error. */
  private outcome: unknown = undefined

  // What only some tasks have is declared and not initialised: even `undefined` takes its place in each of them.
  declare progress: api.TaskProgress | undefined
  declare readonly onClose: api.TaskOptions['onClose']
  declare readonly outerSignal: AbortSignal | undefined
  declare readonly ttl: number
  declare renewedTick: number
  /** The clock of its lease, if it has one, until it ends. */
  declare private lease: LeaseClock | undefined
  /** That of the first request to stop. */
  declare private reason: unknown
  declare private controller: AbortController | undefined
  declare private childLogger: FastifyBaseLogger | undefined
  /** Set by the first who awaits the task. */
  declare private promise: Promise<T> | undefined
  /** The wait of the first `stop` that took longer than a turn, which later ones join. */
  declare private stopping: Promise<boolean> | undefined
  declare private endCallbacks: Array<() => void> | undefined

  constructor (
    readonly name: string,
    private readonly app: FastifyInstance,
    private readonly owner: TaskOwner,
    private work: api.TaskFunction<T> | undefined,
    { name: chosen, onClose, signal, ttl }: api.TaskOptions
  ) {
    super()
    this.named = chosen !== undefined
    if (onClose !== undefined) this.onClose = onClose
    if (signal !== undefined) this.outerSignal = signal
    if (ttl !== undefined) {
      this.ttl = ttl
      this.lease = clockFor(ttl)
    }
  }

  // --- the way of a task ---

  /** Calls the function, unless the task was cancelled before. */
  start (): void {
    if (this.state !== 'pending') return
    this.run()
    // A listener of 'start' may have cancelled it.
    if (this.cancelled) return this.end('cancelled')
    try {
      this.follow(runChannel.hasSubscribers ? runChannel.tracePromise(this.call as () => Promise<T>, { task: this }, this) : this.call())
    } catch (error) {
      this.fail(error)
    }
  }

  private call (): T | PromiseLike<T> {
    const work = this.work!
    // The function itself need not live as long as what it began.
    this.work = undefined
    const outcome = work.call(this.app, this.app, this)
    if (outcome === this) throw new FST_ERR_TASK_SELF_RESULT(this.name)
    return outcome
  }

  /** Takes its outcome from what is already running. */
  adopt (promise: PromiseLike<T>): void {
    this.run()
    this.follow(promise)
  }

  private run (): void {
    this.state = 'running'
    this.startedAt = Date.now()
    this.lease?.start(this)
    this.owner.emit('start', this)
  }

  private follow (outcome: T | PromiseLike<T>): void {
    Promise.resolve(outcome).then(
      (result) => this.end(this.cancelled ? 'cancelled' : 'completed', result),
      (error) => this.fail(error)
    )
  }

  private fail (error: unknown): void {
    const cancelled = this.cancelled && (Object.is(error, this.signal.reason) || isAbortError(error))
    this.end(cancelled ? 'cancelled' : 'failed', error)
  }

  private end (state: 'completed' | 'failed' | 'cancelled', outcome?: unknown): void {
    this.state = state
    this.endedAt = Date.now()
    this.work = undefined
    // A cancelled task has no result, and its error is made when asked for.
    if (state !== 'cancelled') this.outcome = outcome
    if (this.lease !== undefined) {
      this.lease.end(this)
      this.lease = undefined
    }
    this.logEnd()
    this.owner.release(this)
    this.owner.emit('end', this)
    this.endCallbacks?.forEach((callback) => callback())
  }

  private logEnd (): void {
    if (this.state === 'cancelled') this.app.log.debug({ task: this.name, reason: this.reason }, 'Task cancelled')
    // Whoever awaits the task is told of its failure, and it is theirs to log.
    else if (this.state === 'failed' && this.promise === undefined) logThrown(this.log, this.outcome, 'Task failed')
  }

  // --- to see ---

  get signal (): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.cancelled) this.controller.abort(this.reason)
    }
    return this.controller.signal
  }

  private get cancelled (): boolean {
    return this.state === 'cancelling' || this.state === 'cancelled'
  }

  get result (): T | undefined {
    return this.state === 'completed' ? this.outcome as T : undefined
  }

  get error (): unknown {
    if (this.state === 'failed') return this.outcome
    if (this.state !== 'cancelled') return undefined
    this.outcome ??= this.cancelledError()
    return this.outcome
  }

  private cancelledError (): Error {
    const cause = this.signal.reason
    return cause instanceof FST_ERR_TASK_EXPIRED
      ? new FST_ERR_TASK_EXPIRED(this.name, { cause })
      : new FST_ERR_TASK_CANCELLED(this.name, { cause })
  }

  get log (): FastifyBaseLogger {
    this.childLogger ??= this.app.log.child({ task: this.name })
    return this.childLogger
  }

  toJSON (): api.TaskSnapshot {
    const { name, state, createdAt, startedAt, endedAt, progress, ttl, lease } = this
    return {
      name,
      state,
      createdAt,
      startedAt,
      endedAt,
      progress,
      // It runs from the start.
      lease: lease && { ttl, remaining: state === 'pending' ? ttl : lease.remaining(this) },
      error: state === 'failed' || state === 'cancelled' ? describeThrown(this.error) : undefined
    }
  }

  // Printing a task must not print the whole app.
  [inspect.custom] (): api.TaskSnapshot {
    return this.toJSON()
  }

  // --- to act ---

  cancel (reason?: unknown): boolean {
    if (this.state !== 'pending' && this.state !== 'running') return false
    this.reason = reason
    // The state first: a listener of the signal may look at the task, or add another of its name.
    if (this.state === 'pending') this.end('cancelled')
    else this.state = 'cancelling'
    // Nothing is left for it to decide, and its clock would keep the process up beside a task that does not stop.
    this.lease?.end(this)
    this.controller?.abort(reason)
    return true
  }

  /** Cancels because the lease was not renewed. */
  lapse (): void {
    this.cancel(new FST_ERR_TASK_EXPIRED(this.name))
  }

  heartbeat (): boolean {
    if (this.state !== 'pending' && this.state !== 'running') return false
    this.lease?.renew(this)
    return true
  }

  updateProgress (value: api.TaskProgress): void {
    const progress = checkProgress(value)
    if (this.endedAt !== undefined) return
    this.progress = progress
    this.owner.emit('progress', this)
  }

  // --- to wait ---

  then<R1 = T, R2 = never> (
    onfulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onrejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null
  ): Promise<R1 | R2> {
    this.promise ??= new Promise<T>((resolve, reject) => {
      this.onEnd(() => this.state === 'completed' ? resolve(this.outcome as T) : reject(this.error))
    })
    return this.promise.then(onfulfilled, onrejected)
  }

  /** Calls back when the task ends, at once if it has. */
  onEnd (callback: () => void): void {
    if (this.endedAt !== undefined) callback()
    else (this.endCallbacks ??= []).push(callback)
  }

  /**
   * Cancels the task and waits until it has stopped.
   * @returns `false` if it had ended before
   * @throws FST_ERR_TASK_CANCEL_TIMEOUT
   */
  stop (reason?: unknown): Promise<boolean> {
    if (this.endedAt !== undefined) return Promise.resolve(false)
    this.cancel(reason)
    // Most tasks stop within the turn: a timer for each would cost as much as its cancel.
    return this.owner.nextTurn().then(() => this.endedAt === undefined ? this.stopped() : true)
  }

  private stopped (): Promise<boolean> {
    this.stopping ??= new Promise((resolve, reject) => {
      const { cancelTimeout } = this.owner
      const timer = setTimeout(() => {
        this.stopping = undefined
        reject(new FST_ERR_TASK_CANCEL_TIMEOUT(this.name, cancelTimeout))
      }, cancelTimeout)
      this.onEnd(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
    return this.stopping
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.stop()
  }
}
