import type { JobSnapshot } from '../../types/job'
import type { TaskSnapshot, TaskState } from '../../types/task'

export type Snapshot = TaskSnapshot | JobSnapshot

/** What `fastify-tasks/jobs` decorates the app with, so that the routes serve jobs without loading an engine: its {@link ControlBackend}. */
export const kJobsControlBackend = Symbol.for('fastify-tasks.jobs-control-backend')

/**
 * What the control routes serve. They know no tasks and no jobs, only snapshots: neither thenable nor live.
 * A source throws errors with a status code; they are the routes' answers.
 */
export interface ControlBackend {
  /** Those in the state, or all. */
  list (state?: TaskState): Snapshot[] | Promise<Snapshot[]>
  /** @throws with 404 if there is none */
  get (name: string): Snapshot | Promise<Snapshot>
  /**
   * Cancels and waits.
   * @returns how it ended, or how it is when it has not stopped in time: then its state is `cancelling`
   * @throws with 404 if there is none, with 409 if it has ended
   */
  cancel (name: string): Promise<Snapshot>
  /** @throws with 404 if there is none, with 409 if it is no longer live or has no lease */
  heartbeat (name: string): void | Promise<void>
  /** Forgets the ended. Resolves to how many. */
  purge (): number | Promise<number>
  /** Left out, there is no `POST /`. Resolves once it is stored. @throws with 400, 409 or 503 */
  add? (kind: string, data: unknown, options: { name?: string, ttl?: number }): Promise<Snapshot>
}
