import type { EventEmitter } from 'node:events'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Processes } from './lib/processes'
import { kTasksControlBackend, type ControlBackend } from './lib/shared/control-backend'
import * as errors from './lib/shared/errors'
import { kProcessIdentity, processIdentity } from './lib/shared/process-info'
import { whenReady } from './lib/shared/when-ready'
import { TasksBackend } from './lib/tasks/control-backend'
import { IdleConnections } from './lib/tasks/idle-connections'
import { checkPluginOptions } from './lib/tasks/options'
import { TaskRegistry } from './lib/tasks/registry'
import type { Emitter as TasksEmitter } from './types/process'
import type * as types from './types/task'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Adds a task: a function to run in a later event-loop turn (once the app is ready), or a promise that is already running.
     *
     * Synchronous, and returns before the function starts. Returning the task from an `async` function awaits its result:
     * JavaScript awaits whatever has a `then`.
     * @throws FST_ERR_TASK_NAME_IN_USE, FST_ERR_TASK_GROUP_FULL, FST_ERR_TASKS_CLOSED, FST_ERR_TASK_INVALID_OPTION,
     * FST_ERR_TASK_INVALID_ARGUMENT; then nothing was added; a promise that was handed over is logged if it rejects
     * @example
     * const task = app.addTask(async (app, { signal }) => await buildReport(signal), { name: 'report:7', group: 'reports' })
     */
    addTask<T>(work: fastifyTasks.TaskFunction<T> | PromiseLike<T>, options?: fastifyTasks.TaskOptions): fastifyTasks.Task<T>
    /**
     * The live task of this name, or the ended one that is kept.
     * @throws FST_ERR_TASK_INVALID_ARGUMENT when the name is not a string
     */
    getTask<T = unknown>(name: string): fastifyTasks.Task<T> | undefined
    /**
     * The tasks that match, or all, in the order added: the live ones, and the named ones that have ended and were not purged.
     * With a group it costs as much as the group is large, not the registry.
     * @throws FST_ERR_TASK_INVALID_OPTION, FST_ERR_TASK_INVALID_ARGUMENT
     * @example
     * await Promise.allSettled(app.getTasks({ group: 'user:7' }))
     */
    getTasks(filter?: fastifyTasks.TaskFilter): fastifyTasks.Task[]
    /**
     * Cancels a task and waits until its function and its `finally` blocks are done. Joins a cancel under way.
     * @returns `false` if the task is unknown or has ended; it never rejects with the task's own error
     * @throws FST_ERR_TASK_CANCEL_TIMEOUT when it is still running after `cancelTimeout` ms; it stays `cancelling`. FST_ERR_TASK_INVALID_ARGUMENT
     */
    cancelTask(name: string, reason?: unknown): Promise<boolean>
    /**
     * Requests the stop of all live tasks that match, at once, then waits for all of them within one `cancelTimeout`.
     * @returns how many have stopped
     * @throws FST_ERR_TASK_CANCEL_TIMEOUT, whose `tasks` are the names of those that have not; FST_ERR_TASK_INVALID_ARGUMENT for
     * an empty filter: cancel everything with `{ state: ['pending', 'running'] }`
     */
    cancelTasks(filter: fastifyTasks.TaskFilter, reason?: unknown): Promise<number>
    /**
     * Limits a group, before or after it has tasks. Tasks that run already go on.
     * @throws FST_ERR_TASK_GROUP_ALREADY_DEFINED, FST_ERR_TASK_INVALID_OPTION, FST_ERR_TASK_INVALID_ARGUMENT
     * @example
     * app.defineTaskGroup('reports', { concurrency: 5, maxPending: 100 })
     */
    defineTaskGroup(group: string, limits?: fastifyTasks.TaskGroupLimits): void
    /** Removes ended tasks. Does not affect live ones. @returns how many */
    purgeTasks(): number
    /** The tasks, and an emitter of `start`, `progress` and `end`. */
    readonly tasks: fastifyTasks.Tasks
  }

  interface FastifyRequest {
    /**
     * `app.addTask` on the request's own instance, with `log: request.log`: what the task logs, its failure included, carries the
     * request's id. Does not end with the request, and does not keep it in memory.
     */
    addTask<T>(work: fastifyTasks.TaskFunction<T> | PromiseLike<T>, options?: fastifyTasks.TaskOptions): fastifyTasks.Task<T>
  }
}

const plugin: FastifyPluginAsync<types.FastifyTasksOptions> = async (app, options) => {
  const { emitter, peerTimeout, ...checked } = checkPluginOptions(app.log, options)
  const registry = new TaskRegistry(app.log, checked)
  const identity = processIdentity()
  const connections = new IdleConnections({ closeTimeout: checked.closeTimeout, log: app.log })
  const backend: ControlBackend = new TasksBackend(registry, identity)
  const processes = emitter && new Processes(backend, { emitter, peerTimeout, cancelTimeout: checked.cancelTimeout, identity, log: app.log })

  app.decorate('addTask', function (work, options) { return registry.add(this, work, options) })
  app.decorate('getTask', (name: string) => registry.get(name) as types.Task<any> | undefined)
  app.decorate('getTasks', (filter) => registry.find(filter))
  app.decorate('cancelTask', (name, reason) => registry.cancel(name, reason))
  app.decorate('cancelTasks', (filter, reason) => registry.cancelAll(filter, reason))
  app.decorate('defineTaskGroup', (group, limits) => registry.defineGroup(group, limits))
  app.decorate('purgeTasks', () => registry.purge())
  app.decorate('tasks', { getter: () => registry.view })
  app.decorateRequest('addTask', function (work, options) { return registry.add(this.server, work, options, this.log) })
  app.decorate(kProcessIdentity, identity)
  app.decorate(kTasksControlBackend, processes?.backend ?? backend)

  app.addHook('onReady', async () => {
    whenReady(app, () => registry.onReady())
    await processes?.open()
  })
  connections.watch(app)
  app.addHook('onListen', async () => connections.watch(app))
  app.addHook('preClose', (done) => {
    // Fastify before 5.12.1 calls it once for each encapsulated instance.
    if (!registry.isClosing) {
      registry.preClose()
      connections.close()
    }
    done()
  })
  app.addHook('onClose', async () => {
    await registry.onClose()
    await processes?.close()
  })
}

/** Background tasks: named, awaited, cancelled, and stopped cleanly when the server goes down. */
const fastifyTasks = fp(plugin, { fastify: '5.x', name: 'fastify-tasks' }) as fastifyTasks.FastifyTasks

// Types alone, for `import type { Task } from 'fastify-tasks'`. Interfaces of its own, not aliases: what the decorators return must
// have a name that the declarations of a user's project can reach.
// eslint-disable-next-line @typescript-eslint/no-redeclare
namespace fastifyTasks {
  export interface FastifyTasks extends FastifyPluginAsync<types.FastifyTasksOptions> {
    default: FastifyTasks
    fastifyTasks: FastifyTasks
    errors: typeof errors
  }

  export type Emitter = TasksEmitter
  export interface FastifyTasksOptions extends types.FastifyTasksOptions {}
  export interface TaskOptions extends types.TaskOptions {}
  export interface TaskFilter extends types.TaskFilter {}
  export interface TaskGroupLimits extends types.TaskGroupLimits {}
  export interface TaskSnapshot extends types.TaskSnapshot {}
  export type TaskProgress = types.TaskProgress
  export type TaskState = types.TaskState
  export type TaskFunction<T = unknown> = (this: FastifyInstance, app: FastifyInstance, task: Task) => T | PromiseLike<T>

  export interface Task<T = unknown> extends types.Task<T> {
    toJSON (): TaskSnapshot
  }

  export interface TaskEvents {
    start: [task: Task]
    progress: [task: Task]
    end: [task: Task]
  }

  export interface Tasks extends Iterable<Task>, EventEmitter<TaskEvents> {
    /** How many there are, ended ones included. */
    readonly size: number
    /** How many are live. */
    readonly live: number
    /** Resolves when no task, or none of the group, is live: at once if so. Tasks added meanwhile count. */
    onIdle (group?: string): Promise<void>
  }
}

// Explicit assignments, so that cjs-module-lexer detects the named exports for `import`.
module.exports = fastifyTasks
module.exports.default = fastifyTasks
module.exports.fastifyTasks = fastifyTasks
module.exports.errors = errors

export = fastifyTasks
