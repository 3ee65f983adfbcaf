import type { JobSnapshot, Job as PublicJob } from '../../types/job'
import type { TaskProgress, TaskState } from '../../types/task'
import { readFailure, startsOf, type Stored } from './serialization'

/** What a job asks of those who made it. */
interface Owner {
  wait (queue: string, id: string, name: string): Promise<unknown>
  heartbeat (queue: string, id: string): Promise<boolean>
}

/** A job as it was when the engine was asked. */
export class Job implements PublicJob<any> {
  readonly name: string
  readonly kind: string
  readonly state: TaskState
  readonly progress: TaskProgress | undefined
  readonly attempts: number
  readonly result: any = undefined
  readonly error: (Error & { code: string }) | undefined = undefined
  readonly createdAt: number
  readonly startedAt: number | undefined
  readonly endedAt: number | undefined
  readonly #queue: string
  readonly #id: string
  readonly #ttl: number | undefined
  readonly #owner: Owner

  constructor (queue: string, stored: Stored, engineState: string, owner: Owner) {
    const { name, ttl, cancel } = stored.data
    this.#queue = queue
    this.#id = stored.id!
    this.#ttl = ttl
    this.#owner = owner
    this.name = name
    this.kind = stored.name
    this.progress = stored.progress as TaskProgress
    this.attempts = startsOf(stored)
    this.createdAt = stored.timestamp
    // The engine's time is that of a process taking it, be it one without its kind.
    this.startedAt = this.attempts > 0 ? stored.processedOn : undefined
    this.endedAt = stored.finishedOn
    if (engineState === 'completed') {
      this.state = engineState
      this.result = stored.returnvalue
    } else if (engineState === 'failed') {
      ({ state: this.state, error: this.error } = readFailure(stored))
    } else if (engineState === 'active') {
      this.state = cancel === undefined ? 'running' : 'cancelling'
    } else {
      this.state = 'pending'
    }
  }

  async wait (): Promise<any> {
    if (this.state === 'completed') return this.result
    if (this.error !== undefined) throw this.error
    return this.#owner.wait(this.#queue, this.#id, this.name)
  }

  async heartbeat (): Promise<boolean> {
    return this.endedAt === undefined && this.#owner.heartbeat(this.#queue, this.#id)
  }

  toJSON (): JobSnapshot {
    // The result is the caller's own.
    const { result, error, ...rest } = this
    return {
      ...rest,
      lease: this.#ttl === undefined || this.endedAt !== undefined ? undefined : { ttl: this.#ttl },
      error: error && { code: error.code, message: error.message }
    }
  }
}
