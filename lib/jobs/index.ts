import type { EventEmitter } from 'node:events'
import type * as bullmq from 'bullmq'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type * as types from '../../types/job'
import { kJobsControlBackend } from '../shared/control-backend'
import * as errors from '../shared/errors'
import { processIdentityOf } from '../shared/process-info'
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
     * Adds a job: work that any process of the fleet may run. Resolves once BullMQ has stored it; does not wait for its end.
     * @throws FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_UNKNOWN_KIND, FST_ERR_JOB_INVALID_DATA, FST_ERR_JOB_INVALID_TEXT, FST_ERR_JOB_INVALID_OPTION,
     * FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED; then nothing was stored. FST_ERR_JOB_ENGINE_UNAVAILABLE
     */
    addJob<K extends types.JobKind<Kinds>>(kind: K, data: types.JobData<Kinds, K>, options?: types.JobOptions): Promise<types.Job<types.JobResult<Kinds, K>>>
    /**
     * Adds many jobs of a kind with few requests.
     * @returns for each of the list, in its order, the job or why it was not added
     * @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED; then nothing was stored
     */
    addJobs<K extends types.JobKind<Kinds>>(kind: K, list: ReadonlyArray<types.JobToAdd<types.JobData<Kinds, K>>>): Promise<Array<PromiseSettledResult<types.Job<types.JobResult<Kinds, K>>>>>
    /** The live job of this name, or else the one that has ended last and is kept; or that of an id. Whichever process added it. */
    getJob<T = unknown>(job: string | { id: string }): Promise<types.Job<T> | undefined>
    /**
     * Cancels a job and waits until it has stopped, wherever it runs. One that waits is removed.
     * @returns `true` if it was live and has stopped, however it ended; `false` if it is unknown or had ended before
     * @throws FST_ERR_JOB_CANCEL_TIMEOUT when it still runs after `cancelTimeout` ms; FST_ERR_JOB_ENGINE_UNAVAILABLE
     */
    cancelJob(name: string, reason?: unknown): Promise<boolean>
    /** Renews the lease of a job, wherever it runs. @returns `false` if it is not live or is being cancelled */
    heartbeatJob(name: string): Promise<boolean>
    /**
     * Runs a failed or cancelled job again, under its name and with all its attempts.
     * @throws FST_ERR_JOB_NOT_FOUND, FST_ERR_JOB_NOT_FAILED, FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_ENGINE_UNAVAILABLE
     */
    retryJob<T = unknown>(name: string): Promise<types.Job<T>>
    /** Removes the jobs that have ended, in the whole fleet. @returns how many */
    purgeJobs(): Promise<number>
    /**
     * Adds a job at each of the times of a schedule, once in the whole fleet, under the name of the schedule. It is kept in the store; the same
     * call again changes it. While the job of a time is live, that of the next is left out, and logged.
     * @throws FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_INVALID_TEXT, FST_ERR_JOB_UNKNOWN_KIND, FST_ERR_JOB_INVALID_DATA, FST_ERR_JOBS_NOT_READY,
     * FST_ERR_JOBS_CLOSED, FST_ERR_JOB_ENGINE_UNAVAILABLE
     */
    scheduleJob<K extends types.JobKind<Kinds>>(name: string, options: types.JobScheduleOptions<K & string, types.JobData<Kinds, K>>): Promise<types.JobSchedule>
    /** Ends a schedule; a job of it that is live goes on. @returns `false` if there is none of this name */
    unscheduleJob(name: string): Promise<boolean>
    /** The schedules of the queues of this process, the next first. */
    schedules(): Promise<types.JobSchedule[]>
    /**
     * BullMQ's own queue of this name, for what it has besides: flows, job logs, metrics. Default that of kinds that name none.
     * @throws FST_ERR_JOB_UNKNOWN_QUEUE, FST_ERR_JOB_ENGINE_UNAVAILABLE, FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED
     */
    jobQueue(name?: string): bullmq.Queue
    /** The live jobs of the fleet: each that is live throughout is in it once. Each is as it was when it was read. */
    jobs(): AsyncIterableIterator<types.Job>
    /** Starts no more jobs of the queue, or of any, in the whole fleet. Those that run go on. @throws FST_ERR_JOB_UNKNOWN_QUEUE */
    pauseJobs(queue?: string): Promise<void>
    /** @throws FST_ERR_JOB_UNKNOWN_QUEUE */
    resumeJobs(queue?: string): Promise<void>
    /** How many jobs the queue has, or all queues have together, in each of BullMQ's states. @throws FST_ERR_JOB_UNKNOWN_QUEUE */
    jobCounts(queue?: string): Promise<types.JobCounts>
    /**
     * `'start'`, `'progress'` and `'end'` of the jobs of the fleet, each with the job. Costs nothing without listeners. On PostgreSQL
     * some events are lost.
     */
    readonly jobEvents: EventEmitter<types.JobEvents>
  }
}

const plugin: FastifyPluginAsync<types.FastifyJobsOptions> = async (app, options) => {
  const jobs = new JobsLifecycle(app, checkPluginOptions(app.log, options))
  const { requireOpen, requireSchedules } = jobs

  app.decorate('defineJob', function (this: FastifyInstance, kind: string, handler: types.JobHandler, definition?: types.JobDefinition) {
    jobs.kinds.define(this, kind, handler, definition)
  })
  app.decorate('addJob', async (kind: string, data: unknown, jobOptions?: types.JobOptions) => requireOpen().add(kind, data, jobOptions))
  app.decorate('addJobs', async (kind: string, list: readonly types.JobToAdd[]) => requireOpen().addAll(kind, list))
  app.decorate('getJob', async (job: string | { id: string }) => requireOpen().get(job) as Promise<types.Job<any> | undefined>)
  app.decorate('cancelJob', async (name, reason) => requireOpen().cancel(name, reason))
  app.decorate('heartbeatJob', async (name) => requireOpen().heartbeatByName(name))
  app.decorate('retryJob', async (name: string) => requireOpen().retry(name) as Promise<types.Job<any>>)
  app.decorate('purgeJobs', async () => requireOpen().purge())
  app.decorate('jobs', () => requireOpen().list())
  app.decorate('pauseJobs', async (queue?: string) => requireOpen().pause(queue))
  app.decorate('resumeJobs', async (queue?: string) => requireOpen().resume(queue))
  app.decorate('jobCounts', async (queue?: string) => requireOpen().counts(queue))
  app.decorate('jobEvents', jobs.events)
  app.decorate('scheduleJob', async (name: string, schedule: types.JobScheduleOptions) => requireSchedules().add(name, schedule))
  app.decorate('unscheduleJob', async (name: string) => requireSchedules().remove(name))
  app.decorate('schedules', async () => requireSchedules().list())
  app.decorate('jobQueue', (name?: string) => jobs.queue(name))
  app.decorate(kJobsControlBackend, createJobsBackend(requireOpen, jobs.events, async () => requireSchedules().list(), processIdentityOf(app)))

  app.addHook('onReady', () => jobs.onReady())
  app.addHook('preClose', async () => jobs.preClose())
  app.addHook('onClose', () => jobs.onClose())
}

/** Jobs: durable work that any process of a fleet may run, stored by BullMQ, run as tasks. */
const fastifyJobs = fp(plugin, { fastify: '5.x', name: 'fastify-tasks-jobs', dependencies: ['fastify-tasks'] }) as fastifyJobs.FastifyJobsPlugin

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { Job } from 'fastify-tasks/jobs'`
namespace fastifyJobs {
  export interface FastifyJobsPlugin extends FastifyPluginAsync<types.FastifyJobsOptions> {
    default: FastifyJobsPlugin
    fastifyJobs: FastifyJobsPlugin
    errors: typeof errors
  }

  /**
   * The kinds of jobs, to be declared by the user, so that `addJob` knows data and result:
   * `declare module 'fastify-tasks/jobs' { interface JobKinds { thumbnail: { data: { id: number }, result: string } } }`
   */
  export interface JobKinds {}
  export type FastifyJobsOptions = types.FastifyJobsOptions
  export type Job<T = unknown> = types.Job<T>
  export type JobDefinition = types.JobDefinition
  export type JobCounts = types.JobCounts
  export type JobEvents = types.JobEvents
  export type JobHandler<D = any, R = any> = types.JobHandler<D, R>
  export type JobOptions = types.JobOptions
  export type JobSchedule = types.JobSchedule
  export type JobScheduleOptions<K extends string = string, D = any> = types.JobScheduleOptions<K, D>
  export type JobSnapshot = types.JobSnapshot
  export type JobToAdd<D = any> = types.JobToAdd<D>
  export type RunningJob = types.RunningJob
  export type WaitOptions = types.WaitOptions
}

// Written out so that Node finds the names when an ES module imports them.
module.exports = fastifyJobs
module.exports.default = fastifyJobs
module.exports.fastifyJobs = fastifyJobs
module.exports.errors = errors

export = fastifyJobs
