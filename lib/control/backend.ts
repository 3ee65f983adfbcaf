import type { FastifyInstance } from 'fastify'
import type { JobSnapshot } from '../../types/job'
import type { TaskSnapshot, TaskState } from '../../types/task'
import { FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../shared/errors'

export type Snapshot = TaskSnapshot | JobSnapshot

/** What `fastify-tasks/jobs` decorates the app with, so that the routes can serve jobs without loading an engine: its {@link ControlSource}. */
export const kJobsSource = Symbol.for('fastify-tasks.jobs-source')

/**
 * What the control routes serve. They know no tasks and no jobs, only snapshots: neither thenable nor live.
 * A source throws errors with a status code; they are the routes' answers.
 */
export interface ControlSource {
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

export function tasksSource (app: FastifyInstance): ControlSource {
  function find (name: string) {
    const task = app.getTask(name)
    if (task === undefined) throw new FST_ERR_TASK_NOT_FOUND(name)
    return task
  }

  return {
    list (state) {
      const tasks = [...app.tasks]
      return (state === undefined ? tasks : tasks.filter((task) => task.state === state)).map((task) => task.toJSON())
    },
    get: (name) => find(name).toJSON(),
    async cancel (name) {
      const task = find(name)
      if (task.endedAt !== undefined) throw new FST_ERR_TASK_NOT_LIVE(name, task.state)
      // It rejects when the task has not stopped in time, which its state tells too.
      await app.cancelTask(name).catch(() => {})
      // Of this very task: one without a name of the user's is forgotten by now, and a name may have been taken again.
      return task.toJSON()
    },
    heartbeat (name) {
      const task = find(name)
      if (!task.heartbeat()) throw new FST_ERR_TASK_NOT_LIVE(name, task.state)
      if (task.toJSON().lease === undefined) throw new FST_ERR_TASK_NO_LEASE(name)
    },
    purge: () => app.purgeTasks()
  }
}
