import type { JobSnapshot, Job as PublicJob } from '../../types/job'
import type { TaskProgress, TaskState } from '../../types/task'
import { failureOf, type Stored } from './wire'

/** What a job asks of those who made it. */
export interface JobOwner {
  wait (id: string, name: string): Promise<unknown>
  heartbeat (id: string): Promise<boolean>
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
  readonly #id: string
  readonly #ttl: number | undefined
  readonly #owner: JobOwner

  constructor (stored: Stored, engineState: string, owner: JobOwner) {
    this.#id = stored.id!
    this.#owner = owner
    this.#ttl = stored.data.ttl
    this.name = stored.data.name
    this.kind = stored.name
    this.progress = stored.progress as TaskProgress
    this.attempts = stored.attemptsStarted - (stored.data.strayed ?? 0)
    this.createdAt = stored.timestamp
    this.startedAt = stored.processedOn
    this.endedAt = stored.finishedOn
    if (engineState === 'completed') {
      this.state = engineState
      this.result = stored.returnvalue
    } else if (engineState === 'failed') {
      ({ state: this.state, error: this.error } = failureOf(stored))
    } else if (engineState === 'active') {
      this.state = stored.data.cancel === undefined ? 'running' : 'cancelling'
    } else {
      this.state = 'pending'
    }
  }

  async wait (): Promise<any> {
    if (this.state === 'completed') return this.result
    if (this.error !== undefined) throw this.error
    return this.#owner.wait(this.#id, this.name)
  }

  async heartbeat (): Promise<boolean> {
    return this.endedAt === undefined && this.#owner.heartbeat(this.#id)
  }

  toJSON (): JobSnapshot {
    const { name, kind, state, createdAt, startedAt, endedAt, progress, attempts, error } = this
    return {
      name,
      kind,
      state,
      createdAt,
      startedAt,
      endedAt,
      progress,
      attempts,
      lease: this.#ttl === undefined || endedAt !== undefined ? undefined : { ttl: this.#ttl },
      error: error && { code: error.code, message: error.message }
    }
  }
}
