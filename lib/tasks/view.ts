import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type * as api from '../../types/task'
import { logThrown } from '../shared/thrown'

/** What users hold as `app.tasks`: the registry's own map to read, and its events. */
export class TasksView extends EventEmitter<api.TaskEvents> implements api.Tasks {
  // Private at run time too: users hold this object.
  readonly #tasks: ReadonlyMap<string, api.Task>
  readonly #log: FastifyBaseLogger

  constructor (tasks: ReadonlyMap<string, api.Task>, log: FastifyBaseLogger) {
    super()
    this.#tasks = tasks
    this.#log = log
    // A listener for each client of a live view is no leak.
    this.setMaxListeners(0)
  }

  get size (): number {
    return this.#tasks.size
  }

  [Symbol.iterator] (): IterableIterator<api.Task> {
    return this.#tasks.values()
  }

  /** As `emit`, but a listener that fails stops neither the others nor the caller. */
  publish (event: keyof api.TaskEvents, task: api.Task): void {
    // A method of its own: one with a closure in it makes room for that at every call.
    if (this.listenerCount(event) > 0) this.call(event, task)
  }

  private call (event: keyof api.TaskEvents, task: api.Task): void {
    const failed = (error: unknown): void => logThrown(this.#log.child({ event, task: task.name }), error, 'A listener of the tasks failed')
    for (const listener of this.rawListeners(event)) {
      try {
        const result: unknown = listener.call(this, task)
        if (result instanceof Promise) result.catch(failed)
      } catch (err) {
        failed(err)
      }
    }
  }
}
