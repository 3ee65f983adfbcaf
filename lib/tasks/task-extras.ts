import type { FastifyBaseLogger } from 'fastify'
import type * as api from '../../types/task'
import type { GroupMember } from './groups'
import type { Lease } from './lease-clock'
import type { Tally } from './tally'
import type { Task } from './task'
import { timers } from '../shared/timers'

/** What a task asks of the registry that has it. */
export interface TaskHost {
  /** In ms. */
  readonly cancelTimeout: number
  readonly tally: Tally
  /** Whether the app has begun to close: leases of tasks that may finish no longer expire. */
  readonly isClosing: boolean
  /** The event loop's next immediate, one promise for all who wait for it. */
  nextImmediate (): Promise<void>
  emit (event: keyof api.TaskEvents, task: Task): void
  /** The task has ended: its name and its place in its group are free. */
  onTaskEnd (task: Task): void
  /** Somebody waits for a task that has not started. */
  onPendingAwaited (task: Task): void
}

let lastResolve: (value: any) => void
let lastReject: (reason: unknown) => void

// One for all: an executor for each promise would allocate a closure and its context.
function capture (resolve: (value: any) => void, reject: (reason: unknown) => void): void {
  lastResolve = resolve
  lastReject = reject
}

/** The promise of those who await a live task. */
export class Waiter<T> {
  readonly promise = new Promise<T>(capture)
  readonly resolve: (result: T) => void = lastResolve
  readonly reject: (error: unknown) => void = lastReject
}

/** What only some tasks have. Declared and not initialised: it has room for what is set, and no more (a task with a lease takes 40 B less). */
export class TaskExtras {
  declare member: GroupMember | undefined
  declare lease: Lease<Task> | undefined
  /** The timeout in ms until the task starts, then its timer. */
  declare timeout: number | NodeJS.Timeout | undefined
  /** The signal of the caller's that cancels the task. */
  declare parentSignal: AbortSignal | undefined
  declare controller: AbortController | undefined
  /** The reason of the first cancel. */
  declare reason: unknown
  /** The logger that the caller chose. */
  declare log: FastifyBaseLogger | undefined
  declare childLogger: FastifyBaseLogger | undefined
  declare progress: api.TaskProgress | undefined
  /** The wait of the first `cancelAndWait` that took longer than an immediate, which later ones join. */
  declare stopWait: Promise<boolean> | undefined
  declare endCallbacks: Array<() => void> | undefined

  /** Runs the timeout from now. */
  startTimeout (onTimeout: (ms: number) => void): void {
    const timeout = this.timeout as number
    this.timeout = timers.setTimeout(onTimeout, timeout, timeout)
  }

  /** Neither the lease nor the timeout decides anything any more, and a timer would hold the process open. */
  stopTimers (): void {
    this.lease?.end()
    if (typeof this.timeout === 'object') timers.clearTimeout(this.timeout)
  }

  /**
   * The task has ended: what it was added with, and who waited for it, are let go. In place: a copy is a tenth of the cost of a task.
   * @returns what an ended task keeps
   */
  letGo (): TaskExtras | undefined {
    if (this.member === undefined && this.reason === undefined && this.progress === undefined) return undefined
    if (this.lease !== undefined) this.lease = undefined
    if (this.timeout !== undefined) this.timeout = undefined
    if (this.parentSignal !== undefined) this.parentSignal = undefined
    if (this.controller !== undefined) this.controller = undefined
    if (this.log !== undefined) this.log = undefined
    if (this.childLogger !== undefined) this.childLogger = undefined
    if (this.stopWait !== undefined) this.stopWait = undefined
    if (this.endCallbacks !== undefined) this.endCallbacks = undefined
    return this
  }
}
