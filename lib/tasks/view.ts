import { EventEmitter } from 'node:events'
import type * as api from '../../types/task'
import { callListeners } from '../shared/listeners'
import { logThrown } from '../shared/thrown'
import type { TaskRegistry } from './registry'

/** `app.tasks`: the registry's own map to read, and its events. */
export class TasksView extends EventEmitter<api.TaskEvents> implements api.Tasks {
  // Private at run time too: users hold this object.
  readonly #tasks: ReadonlyMap<string, api.Task>
  readonly #registry: TaskRegistry

  constructor (tasks: ReadonlyMap<string, api.Task>, registry: TaskRegistry) {
    super()
    this.#tasks = tasks
    this.#registry = registry
    // A listener for each client of a live view is no leak.
    this.setMaxListeners(0)
    Object.preventExtensions(this)
  }

  get size (): number {
    return this.#tasks.size
  }

  get live (): number {
    return this.#registry.tally.live
  }

  onIdle (group?: string): Promise<void> {
    return this.#registry.onIdle(group)
  }

  [Symbol.iterator] (): IterableIterator<api.Task> {
    return this.#tasks.values()
  }

  /** As `emit`, but a listener that fails stops neither the others nor the caller. */
  static publish (view: TasksView, event: keyof api.TaskEvents, task: api.Task): void {
    // Separate function: a closure here would allocate a context on every call.
    if (view.listenerCount(event) > 0) tell(view, event, task, view.#registry)
  }
}

function tell (view: TasksView, event: keyof api.TaskEvents, task: api.Task, { log }: TaskRegistry): void {
  callListeners(view, event, task, (error) => logThrown(log, error, 'A listener on app.tasks threw an error', { event, task: task.name }))
}
