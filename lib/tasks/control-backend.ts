import { FST_ERR_TASK_CANCEL_TIMEOUT, FST_ERR_TASK_INVALID_CURSOR, FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../shared/errors'
import type { ControlBackend, ControlFilter, Counts, Snapshot } from '../shared/control-backend'
import { processNumbers } from '../shared/process-info'
import type { ProcessIdentity } from '../../types/process'
import type { TaskRegistry } from './registry'
import { Task } from './task'

const EVENTS = ['start', 'progress', 'end'] as const

const noCounts = (): Counts => ({ pending: 0, running: 0, cancelling: 0, completed: 0, failed: 0, cancelled: 0 })

/** What routes, feed and dashboard serve with `serve: 'tasks'`: the tasks of this process. */
export function createTasksBackend (registry: TaskRegistry, identity: ProcessIdentity): ControlBackend {
  function find (name: string): Task {
    const task = registry.get(name)
    if (task === undefined) throw new FST_ERR_TASK_NOT_FOUND(name)
    return task
  }

  const all = (): Task[] => [...registry.view].reverse() as Task[]

  return {
    list ({ limit, after = '0', ...filter }) {
      if (!/^\d{1,15}$/.test(after)) throw new FST_ERR_TASK_INVALID_CURSOR()
      const start = Number(after)
      const found = all().filter((task) => matches(task, filter))
      const tasks = found.slice(start, start + limit).map((task) => task.toJSON())
      const cursors = tasks.map((_, index) => String(start + index + 1))
      return { tasks, cursors, next: start + limit < found.length ? cursors.at(-1) : undefined }
    },
    summary () {
      const counts = noCounts()
      for (const { state } of all()) counts[state]++
      return { counts, groups: [], process: processNumbers(identity) }
    },
    get: (name) => withStack(find(name)),
    async cancel (name) {
      const task = find(name)
      if (task.endedAt !== undefined) throw new FST_ERR_TASK_NOT_LIVE(name, task.state)
      await stop(task)
      // This object: a task without a name of the caller's is removed by now, and a name may have been reused.
      return withStack(task)
    },
    async cancelAll (filter, reason) {
      const tasks = all().filter((task) => task.endedAt === undefined && matches(task, filter))
      await Promise.all(tasks.map((task) => stop(task, reason)))
      const remaining = tasks.filter((task) => task.endedAt === undefined).map(({ name }) => name)
      return { cancelled: tasks.length - remaining.length, remaining }
    },
    heartbeat (name) {
      const task = find(name)
      if (!task.heartbeat()) throw new FST_ERR_TASK_NOT_LIVE(name, task.state)
      if (task.toJSON().lease === undefined) throw new FST_ERR_TASK_NO_LEASE(name)
    },
    purge: () => ({ purged: registry.purge() }),
    * live (filter) {
      yield all().filter((task) => task.endedAt === undefined && matches(task, filter))
    },
    subscribe (listener) {
      const listeners = EVENTS.map((event) => [event, (task: unknown) => listener(event, task as Task)] as const)
      for (const [event, call] of listeners) registry.view.on(event, call)
      return () => { for (const [event, call] of listeners) registry.view.off(event, call) }
    }
  }
}

/** Resolves when the task has stopped, or has not within `cancelTimeout`: its state tells which. */
async function stop (task: Task, reason?: unknown): Promise<void> {
  try {
    await Task.cancelAndWait(task, reason)
  } catch (error) {
    if (!(error instanceof FST_ERR_TASK_CANCEL_TIMEOUT)) throw error
  }
}

function matches ({ name, state, group }: Task & { group?: string }, filter: ControlFilter): boolean {
  return (filter.states === undefined || filter.states.includes(state)) &&
    (filter.group === undefined || filter.group === group) &&
    (filter.prefix === undefined || name.startsWith(filter.prefix)) &&
    (filter.q === undefined || name.includes(filter.q)) &&
    (filter.names === undefined || filter.names.includes(name))
}

function withStack (task: Task): Snapshot {
  const snapshot = task.toJSON()
  if (task.state !== 'failed' || !(task.error instanceof Error)) return snapshot
  return { ...snapshot, error: { ...snapshot.error!, stack: task.error.stack } }
}
