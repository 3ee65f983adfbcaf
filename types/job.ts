import type { ConnectionOptions, DefaultJobOptions, KeepJobs, PostgresConnectionOptions, RateLimiterOptions, Telemetry } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import type { JobSnapshot } from './job-snapshot'
import type { Task, TaskProgress, TaskState } from './task'

export type { JobSnapshot }

/** A kind that was declared in `JobKinds`, or any other string. */
export type JobKind<Kinds> = keyof Kinds | (string & {})
/** What a job of the kind is given; `any` for a kind that was not declared. */
export type JobData<Kinds, K> = K extends keyof Kinds ? Kinds[K] extends { data: infer D } ? D : any : any
/** What a job of the kind results in; `any` for a kind that was not declared. */
export type JobResult<Kinds, K> = K extends keyof Kinds ? Kinds[K] extends { result: infer R } ? R : any : any

/**
 * The work of a job: that of a task, and its data. It may run more than once (a process can die before BullMQ has stored
 * the result), so what it does must be safe to repeat: `job.attempts` and `job.name` help.
 */
export type JobHandler<D = any, R = any> = (this: FastifyInstance, app: FastifyInstance, task: Task, data: D, job: RunningJob) => R | PromiseLike<R>

/** What a handler receives about its job. */
export interface RunningJob {
  readonly name: string
  readonly kind: string
  /** Which attempt this is: 1 for the first. More means that an earlier one may have left something behind. */
  readonly attempts: number
}

/** Options that BullMQ takes for each job, checked and handed over as they are. `sizeLimit` is that of the data alone, in bytes. */
export interface EngineJobOptions extends DefaultJobOptions {
  telemetry?: { metadata?: string, omitContext?: boolean }
}

/** Options of `app.defineJob`: BullMQ's defaults for jobs of the kind, and some more. */
export interface JobDefinition extends EngineJobOptions {
  /** The queue that jobs of the kind are in, one of `queues` in the processes that work it. Default `'default'`. */
  queue?: string
  /**
   * What happens to a running job of the kind when its process closes. `'wait'`, the default: it is given `closeTimeout` to finish,
   * then its signal aborts and it is returned to the queue. `'cancel'`: its signal aborts at once. What the handler returns after
   * that, other than `undefined`, is still the result.
   */
  onClose?: 'wait' | 'cancel'
  /** How long after it was added (and its `delay`) a job of the kind may be started, in ms. */
  expiresIn?: number
  /** A JSON schema that the data must pass, checked by the app's own validator when a job is added. */
  schema?: object
  /** How long an attempt may take, in ms. Then its signal aborts and, once it has stopped, the attempt has failed. */
  timeout?: number
}

/** What `app.addJob` takes besides kind and data. */
export interface JobOptions extends EngineJobOptions {
  /**
   * On PostgreSQL: a client of `pg` in an open transaction, which the job is added in. Nobody sees it before the commit, and it is gone
   * with a rollback.
   */
  transaction?: { query: (text: string, values?: any[]) => Promise<any> }
  /** Non-empty and unique among the live jobs of its queue, in the whole fleet. Left out, it is generated. */
  name?: string
  /** How long after it was added (and its `delay`) the job may be started, in ms. Then it ends as cancelled, with FST_ERR_JOB_EXPIRED. */
  expiresIn?: number
  /** A lease in ms, as for tasks. Runs from the start of each attempt and is renewed from any process. */
  ttl?: number
}

/** The events of `app.jobEvents`: what happens to the jobs of the fleet, with the job as it was when it was read. */
export interface JobEvents {
  start: [job: Job]
  progress: [job: Job]
  end: [job: Job]
}

/** How many jobs there are in each of BullMQ's states. */
export type JobCounts = Record<'waiting' | 'prioritized' | 'delayed' | 'paused' | 'active' | 'completed' | 'failed', number>

/** One of those that `app.addJobs` adds. */
export interface JobToAdd<D = any> extends JobOptions {
  data: D
}

/** How long `job.wait` waits. Default: until the job ends. The job continues in any case. */
export interface WaitOptions {
  /** Gives up waiting, with the signal's reason. */
  signal?: AbortSignal
  /** Gives up waiting after so many ms, with FST_ERR_JOB_WAIT_TIMEOUT. */
  timeout?: number
}

/** A job as it was when it was read: ask `app.getJob` again for what has changed since. */
export interface Job<T = unknown> {
  /** BullMQ's id, for `app.getJob({ id })`. A name may belong to another job later, an id never does. */
  readonly id: string
  readonly name: string
  readonly kind: string
  /** The queue that it is in. */
  readonly queue: string
  readonly state: TaskState
  readonly progress: TaskProgress | undefined
  /** How often its handler was started. */
  readonly attempts: number
  /** What the handler returned, once the job is `completed`. */
  readonly result: T | undefined
  /** Why the job is `failed` or `cancelled`: an error with message and code. */
  readonly error: (Error & { code: string }) | undefined
  /** Ms since the epoch. */
  readonly createdAt: number
  /** When the last attempt started, in ms since the epoch; `undefined` before the first. */
  readonly startedAt: number | undefined
  /** Ms since the epoch; `undefined` while the job is live. */
  readonly endedAt: number | undefined
  /**
   * Waits for the job to end, wherever it runs. It never reports an outcome that did not happen.
   * @throws FST_ERR_JOB_FAILED (by `instanceof`) with the failure's own message and code; FST_ERR_JOB_CANCELLED when it was cancelled or its lease
   * has expired; FST_ERR_JOB_RECORD_GONE when its record is gone and nothing says how it ended; FST_ERR_JOB_WAIT_TIMEOUT, or the
   * signal's reason, when the wait was given up; FST_ERR_JOBS_CLOSED when this app closes first
   */
  wait (options?: WaitOptions): Promise<T>
  /**
   * Renews the lease wherever the job runs.
   * @returns `false` once the job has ended or is being cancelled
   * @throws FST_ERR_JOB_ENGINE_UNAVAILABLE
   */
  heartbeat (): Promise<boolean>
  /** A snapshot that is safe to send: never the data nor the result. */
  toJSON (): JobSnapshot
}

/** When and what `app.scheduleJob` adds: these options, and those of `addJob` except `name` and `delay`. */
export interface JobScheduleOptions<K extends string = string, D = any> extends Omit<JobOptions, 'name' | 'delay' | 'timestamp' | 'transaction'> {
  kind: K
  data?: D
  /** A cron pattern, of five fields or, with seconds, six. Either this or `every`. */
  pattern?: string
  /** The interval in ms. */
  every?: number
  /** The time zone of the pattern, such as `'Europe/Berlin'`. Default that of the process. */
  tz?: string
  /** After how many runs it ends. */
  limit?: number
  /** Not before. */
  startDate?: Date | string | number
  /** Not after; with `every` one more run may come, up to an interval later. */
  endDate?: Date | string | number
}

/** A schedule, as the store has it. */
export interface JobSchedule {
  name: string
  kind: string
  queue: string
  pattern?: string
  /** In ms. */
  every?: number
  tz?: string
  limit?: number
  /** Its next time, in ms since the epoch. */
  next?: number
}

/** How a process works a queue. */
export interface QueueSettings {
  /** How many of the queue's jobs this process runs at a time. Default that of the plugin. */
  concurrency?: number
  /** BullMQ's rate limit for the queue, the same in every process that works it. Default that of the plugin. */
  limiter?: RateLimiterOptions
}

/** Options of the plugin. Those that BullMQ has too go to it as they are. */
export interface FastifyJobsOptions {
  /**
   * Where jobs are stored. Redis: options of `ioredis`, a `redis://` URL, or a client made with `maxRetriesPerRequest: null`.
   * PostgreSQL: a `postgres://` URL, options of `pg` (recognised by `connectionString`, `database` or `user`), or a `pg.Pool` whose
   * connections have the schema of BullMQ's tables in their `search_path`; the tables must be there.
   */
  connection: ConnectionOptions | PostgresConnectionOptions | string
  /**
   * The name of the default queue in BullMQ, the same in every process of the fleet. Other queues are called by this name, a hyphen
   * and their own name. Default `fastify-tasks`.
   */
  queue?: string
  /**
   * The queues that this process works, each with its concurrency. To the others it only adds. Default `{ default: 10 }`.
   * @example { default: 10, media: { concurrency: 2, limiter: { max: 100, duration: 60_000 } } }
   */
  queues?: Record<string, number | QueueSettings>
  /** The prefix of the keys in Redis. Default BullMQ's, `bull`. */
  redisPrefix?: string
  /** `false`: this process works no queue; it only adds and controls jobs. Default `true`. */
  worker?: boolean
  /** How many jobs of each queue this process runs at a time, if `queues` does not say so. Default 10. */
  concurrency?: number
  /** How long a job stays locked after its process dies or hangs, in ms. The same in the whole fleet. Default 30,000. */
  lockDuration?: number
  /** How often a process looks for jobs whose lock has expired, in ms. The same in the whole fleet. Default a fifth of `lockDuration`. */
  stalledInterval?: number
  /** How often a job may lose its process before it fails. Default 10. */
  maxStalledCount?: number
  /** BullMQ's rate limit of each queue, if `queues` does not say so. */
  limiter?: RateLimiterOptions
  /** BullMQ's tracing. */
  telemetry?: Telemetry
  /** How many completed jobs are kept, and for how many seconds. Default `{ age: 86_400, count: 1_000 }`. */
  removeOnComplete?: boolean | number | KeepJobs
  /** How many failed and cancelled jobs are kept, and for how many seconds. Default `{ age: 86_400, count: 1_000 }`. */
  removeOnFail?: boolean | number | KeepJobs
  /** How long a cancel waits for the job to stop, in ms. Default 5,000. */
  cancelTimeout?: number
  /** How long `app.close()` lets the jobs that run here finish before it stops them, in ms. Default 10,000. */
  closeTimeout?: number
}
