import type { FastifyInstance } from 'fastify'
import type { ControlBackend } from '../shared/control-backend'
import { FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../shared/errors'

/** What the control routes serve with `serve: 'tasks'`: the tasks of this process. */
export function createTasksBackend (app: FastifyInstance): ControlBackend {
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
