import type { JobSnapshot, Job as PublicJob, WaitOptions } from '../../types/job'
import type { TaskProgress, TaskState } from '../../types/task'
import type { Awaited } from './completions'
import { checkWaitOptions } from './options'
import { outcomeOf, type Ended } from './ended'
import { isPassedOn, startsBefore } from './taker'
import { deserializeReason, readFailure, startsOf, type Stored } from './serialization'
import { describeThrown } from '../shared/thrown'

/** What a job asks of those who made it. */
export interface JobOwner {
  wait (job: Awaited, options: WaitOptions): Promise<unknown>
  heartbeat (queue: string, id: string): Promise<boolean>
}

/** What there is to know of a job. */
export interface JobFields {
  id: string
  name: string
  kind: string
  queue: string
  state: TaskState
  progress?: TaskProgress
  attempts: number
  result?: unknown
  error?: Error & { code: string }
  /** Why it is being cancelled. Once it has been, that is the cause of its error. */
  reason?: unknown
  createdAt: number
  startedAt?: number
  endedAt?: number
  ttl?: number
  expiresAt?: number
  /** Whether a process took it that does not run its kind, and was the last. */
  isPassedOn?: boolean
}

/** What BullMQ's record says of a job that is in this state of BullMQ's. */
export function fieldsOf (queue: string, stored: Stored, engineState: string): JobFields {
  const { name, ttl, expiresAt } = stored.data
  const attempts = engineState === 'active' ? startsBefore(stored) : startsOf(stored)
  return {
    id: stored.id!,
    name,
    kind: stored.name,
    queue,
    progress: stored.progress as TaskProgress,
    attempts,
    createdAt: stored.timestamp,
    // BullMQ's time is that of a process taking it, be it one without its kind.
    startedAt: attempts > 0 ? stored.processedOn ?? undefined : undefined,
    endedAt: stored.finishedOn ?? undefined,
    ttl,
    expiresAt,
    isPassedOn: isPassedOn(stored),
    ...outcomeFields(stored, engineState)
  }
}

function outcomeFields (stored: Stored, engineState: string): Pick<JobFields, 'state' | 'result' | 'error' | 'reason'> {
  if (engineState === 'completed') return { state: 'completed', result: stored.returnvalue }
  if (engineState === 'failed') return readFailure(stored)
  // In the hands of a process that passes it on, or ends it in time, it has not been started.
  if (engineState === 'active' && startsOf(stored) > 0 && !isPassedOn(stored)) {
    const { cancel } = stored.data
    return cancel === undefined ? { state: 'running' } : { state: 'cancelling', reason: deserializeReason(cancel) }
  }
  return { state: 'pending' }
}

/** What is known of a job that has ended, and of which BullMQ has no record any more. */
export function fieldsOfEnded (queue: string, ended: Ended): JobFields {
  const { id, name, kind, state, attempts, createdAt, startedAt, endedAt } = ended
  return { id, name, kind, queue, attempts, createdAt, startedAt, endedAt, ...outcomeOf(ended) ?? { state } }
}

/** A job as it was when BullMQ was asked. */
export class Job implements PublicJob<any> {
  readonly id: string
  readonly name: string
  readonly kind: string
  readonly queue: string
  readonly state: TaskState
  readonly progress: TaskProgress | undefined
  readonly attempts: number
  readonly result: any
  readonly error: (Error & { code: string }) | undefined
  readonly createdAt: number
  readonly startedAt: number | undefined
  readonly endedAt: number | undefined
  readonly #reason: unknown
  readonly #ttl: number | undefined
  readonly #expiresAt: number | undefined
  readonly #isPassedOn: boolean
  readonly #owner: JobOwner

  constructor (fields: JobFields, owner: JobOwner) {
    this.id = fields.id
    this.name = fields.name
    this.kind = fields.kind
    this.queue = fields.queue
    this.state = fields.state
    this.progress = fields.progress
    this.attempts = fields.attempts
    this.result = fields.result
    this.error = fields.error
    this.createdAt = fields.createdAt
    this.startedAt = fields.startedAt
    this.endedAt = fields.endedAt
    this.#reason = fields.state === 'cancelled' ? fields.error?.cause : fields.reason
    this.#ttl = fields.ttl
    this.#expiresAt = fields.expiresAt
    this.#isPassedOn = fields.isPassedOn === true
    this.#owner = owner
  }

  /** Whether a handler was started when a process took it last. */
  get wasStarted (): boolean {
    return this.attempts > 0 && !this.#isPassedOn
  }

  async wait (options?: WaitOptions): Promise<any> {
    const checked = checkWaitOptions(options)
    if (this.state === 'completed') return this.result
    if (this.error !== undefined) throw this.error
    const { queue, id, name } = this
    return this.#owner.wait({ queue, id, name, attempts: this.state === 'pending' ? this.attempts + 1 : this.attempts, expiresAt: this.#expiresAt }, checked)
  }

  async heartbeat (): Promise<boolean> {
    return this.endedAt === undefined && this.#owner.heartbeat(this.queue, this.id)
  }

  toJSON (): JobSnapshot {
    // The result is the caller's own.
    const { result, error, ...rest } = this
    return {
      ...rest,
      lease: this.#ttl === undefined || this.endedAt !== undefined ? undefined : { ttl: this.#ttl },
      reason: this.#reason === undefined ? undefined : describeThrown(this.#reason),
      error: error && { code: error.code, message: error.message }
    }
  }
}
