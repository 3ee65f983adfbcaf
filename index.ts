import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Processes } from './lib/processes'
import * as errors from './lib/shared/errors'
import { kTasksControlBackend } from './lib/shared/control-backend'
import { processIdentity } from './lib/shared/process-info'
import { createTasksBackend } from './lib/tasks/control-backend'
import { checkPluginOptions } from './lib/tasks/options'
import { TaskRegistry } from './lib/tasks/registry'
import { whenReady } from './lib/shared/when-ready'
import type { Emitter as TasksEmitter } from './types/process'
import type * as types from './types/task'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Adds a task: a function to run after the caller's turn (once the app is ready), or a promise that is already running.
     *
     * Synchronous, and never runs the function itself. Do not return the task from an `async` function unless its result is
     * to be waited for: JavaScript awaits whatever has a `then`.
     * @throws FST_ERR_TASK_NAME_IN_USE, FST_ERR_TASKS_CLOSED, FST_ERR_TASK_INVALID_OPTION, FST_ERR_TASK_INVALID_ARGUMENT;
     * then nothing was added; a promise that was handed over is logged if it fails
     */
    addTask<T>(work: types.TaskFunction<T> | PromiseLike<T>, options?: types.TaskOptions): types.Task<T>
    /** The task of this name, live or ended and not yet purged. */
    getTask<T = unknown>(name: string): types.Task<T> | undefined
    /**
     * Cancels a task and waits until its function and its `finally` blocks are done. Joins a cancel under way.
     * @returns `false` if the task is unknown or has ended; its own error is never raised here
     * @throws FST_ERR_TASK_CANCEL_TIMEOUT when it is still running after `cancelTimeout` ms; it stays `cancelling`
     */
    cancelTask(name: string, reason?: unknown): Promise<boolean>
    /** Forgets the tasks that have ended. Leaves the live ones alone. @returns how many */
    purgeTasks(): number
    /** The tasks, and an emitter of `start`, `progress` and `end`. */
    readonly tasks: types.Tasks
  }
}

const plugin: FastifyPluginAsync<types.FastifyTasksOptions> = async (app, options) => {
  const { emitter, peerTimeout, ...checked } = checkPluginOptions(app.log, options)
  const registry = new TaskRegistry(app.log, checked)
  const identity = processIdentity()
  const backend = createTasksBackend(registry, identity)
  const processes = emitter && new Processes(backend, { emitter, peerTimeout, cancelTimeout: checked.cancelTimeout, identity, log: app.log })

  app.decorate('addTask', function (work, options) { return registry.add(this, work, options) })
  app.decorate('getTask', (name: string) => registry.get(name) as types.Task<any> | undefined)
  app.decorate('cancelTask', (name, reason) => registry.cancel(name, reason))
  app.decorate('purgeTasks', () => registry.purge())
  app.decorate('tasks', registry.view)
  app.decorate(kTasksControlBackend, processes?.backend ?? backend)

  app.addHook('onReady', async () => {
    whenReady(app, () => registry.open())
    await processes?.open()
  })
  app.addHook('preClose', (done) => {
    registry.prepareClose()
    done()
  })
  app.addHook('onClose', async () => {
    await registry.close()
    await processes?.close()
  })
}

interface FastifyTasks extends FastifyPluginAsync<types.FastifyTasksOptions> {
  default: FastifyTasks
  fastifyTasks: FastifyTasks
  errors: typeof errors
}

/** Background tasks: named, awaited, cancelled, and stopped cleanly when the server goes down. */
const fastifyTasks = fp(plugin, { fastify: '5.x', name: 'fastify-tasks' }) as FastifyTasks

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { Task } from 'fastify-tasks'`
namespace fastifyTasks {
  export type Emitter = TasksEmitter
  export type FastifyTasksOptions = types.FastifyTasksOptions
  export type Task<T = unknown> = types.Task<T>
  export type TaskEvents = types.TaskEvents
  export type TaskFunction<T = unknown> = types.TaskFunction<T>
  export type TaskOptions = types.TaskOptions
  export type TaskProgress = types.TaskProgress
  export type TaskSnapshot = types.TaskSnapshot
  export type TaskState = types.TaskState
  export type Tasks = types.Tasks
}

// Written out so that Node finds the names when an ES module imports them.
module.exports = fastifyTasks
module.exports.default = fastifyTasks
module.exports.fastifyTasks = fastifyTasks
module.exports.errors = errors

export = fastifyTasks
