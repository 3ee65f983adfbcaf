import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type * as types from '../../types/job'
import { kJobsControlBackend } from '../shared/control-backend'
import * as errors from '../shared/errors'
import { createJobsBackend } from './control-backend'
import { JobsLifecycle } from './lifecycle'
import { checkPluginOptions } from './options'

type Kinds = fastifyJobs.JobKinds

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Says how jobs of a kind are run. Every process that adds or runs jobs of the kind defines it, before it is ready.
     * @throws FST_ERR_JOB_KIND_ALREADY_DEFINED, FST_ERR_JOB_DEFINED_TOO_LATE, FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_INVALID_ARGUMENT
     */
    defineJob<K extends types.JobKind<Kinds>>(kind: K, handler: types.JobHandler<types.JobData<Kinds, K>, types.JobResult<Kinds, K>>, options?: types.JobDefinition): void
    /**
     * Adds a job: work that any process of the fleet may run. Resolves once the engine has stored it; does not wait for its end.
     * @throws FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_UNKNOWN_KIND, FST_ERR_JOB_INVALID_DATA, FST_ERR_JOB_INVALID_TEXT, FST_ERR_JOB_INVALID_OPTION,
     * FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED; then nothing was stored. FST_ERR_JOB_ENGINE_UNAVAILABLE
     */
    addJob<K extends types.JobKind<Kinds>>(kind: K, data: types.JobData<Kinds, K>, options?: types.JobOptions): Promise<types.Job<types.JobResult<Kinds, K>>>
    /** The job of this name, live or ended and still kept, whichever process added it. The ended ones are searched from the latest on. */
    getJob<T = unknown>(name: string): Promise<types.Job<T> | undefined>
    /**
     * Cancels a job and waits until it has stopped, wherever it runs. One that waits is removed.
     * @returns `false` if the job is unknown or has ended by itself
     * @throws FST_ERR_JOB_CANCEL_TIMEOUT when it still runs after `cancelTimeout` ms; FST_ERR_JOB_ENGINE_UNAVAILABLE
     */
    cancelJob(name: string, reason?: unknown): Promise<boolean>
    /** Renews the lease of a job, wherever it runs. @returns `false` if it is not live or is being cancelled */
    heartbeatJob(name: string): Promise<boolean>
    /** Forgets the jobs that have ended, in the whole fleet. @returns how many */
    purgeJobs(): Promise<number>
    /** The live jobs of the fleet, each as it was when it was read. */
    jobs(): AsyncIterableIterator<types.Job>
  }
}

const plugin: FastifyPluginAsync<types.FastifyJobsOptions> = async (app, options) => {
  const jobs = new JobsLifecycle(app, checkPluginOptions(app.log, options))
  const { requireOpen } = jobs

  app.decorate('defineJob', function (this: FastifyInstance, kind: string, handler: types.JobHandler, definition?: types.JobDefinition) {
    jobs.kinds.define(this, kind, handler, definition)
  })
  app.decorate('addJob', async (kind: string, data: unknown, jobOptions?: types.JobOptions) => requireOpen().add(kind, data, jobOptions))
  app.decorate('getJob', async (name: string) => requireOpen().get(name) as Promise<types.Job<any> | undefined>)
  app.decorate('cancelJob', async (name, reason) => requireOpen().cancel(name, reason))
  app.decorate('heartbeatJob', async (name) => requireOpen().heartbeatByName(name))
  app.decorate('purgeJobs', async () => requireOpen().purge())
  app.decorate('jobs', () => requireOpen().list())
  app.decorate(kJobsControlBackend, createJobsBackend(requireOpen))

  app.addHook('onReady', () => jobs.onReady())
  app.addHook('preClose', async () => jobs.preClose())
  app.addHook('onClose', () => jobs.onClose())
}

interface FastifyJobsPlugin extends FastifyPluginAsync<types.FastifyJobsOptions> {
  default: FastifyJobsPlugin
  fastifyJobs: FastifyJobsPlugin
  errors: typeof errors
}

/** Jobs: durable work that any process of a fleet may run, stored by BullMQ, run as tasks. */
const fastifyJobs = fp(plugin, { fastify: '5.x', name: 'fastify-tasks-jobs', dependencies: ['fastify-tasks'] }) as FastifyJobsPlugin

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { Job } from 'fastify-tasks/jobs'`
namespace fastifyJobs {
  /**
   * The kinds of jobs, to be declared by the user, so that `addJob` knows data and result:
   * `declare module 'fastify-tasks/jobs' { interface JobKinds { thumbnail: { data: { id: number }, result: string } } }`
   */
  export interface JobKinds {}
  export type FastifyJobsOptions = types.FastifyJobsOptions
  export type Job<T = unknown> = types.Job<T>
  export type JobDefinition = types.JobDefinition
  export type JobHandler<D = any, R = any> = types.JobHandler<D, R>
  export type JobOptions = types.JobOptions
  export type JobSnapshot = types.JobSnapshot
  export type RunningJob = types.RunningJob
}

// Written out so that Node finds the names when an ES module imports them.
module.exports = fastifyJobs
module.exports.default = fastifyJobs
module.exports.fastifyJobs = fastifyJobs
module.exports.errors = errors

export = fastifyJobs
