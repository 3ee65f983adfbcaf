import type { FastifyBaseLogger } from 'fastify'
import type { FastifyJobsOptions, JobDefinition, JobOptions, JobScheduleOptions, JobToAdd, QueueSettings, WaitOptions } from '../../types/job'
import { FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_INVALID_TEXT } from '../shared/errors'
import { isTransactionClient, TRANSACTION } from './transactions'
import { abortSignal, boolean, checkOptions, checkRegistration, formatValue, integer, isObjectOf, nonEmptyString, object, omitUndefined, oneOf, type OptionCheck, type OptionChecks } from '../shared/option-checks'

const retention: OptionCheck = ['true, false, a count, or { age in s, count }',
  (value) => boolean[1](value) || integer(0)[1](value) || isObjectOf(value, { age: integer(0), count: integer(0), limit: integer(0) })]

/** What BullMQ takes for a job. It checks little by itself, and late. */
const ENGINE_JOB_OPTIONS: OptionChecks = {
  attempts: integer(1),
  backoff: ["a number of ms or { type: 'fixed' or 'exponential', delay in ms, jitter from 0 to 1 }", (value) => integer(0)[1](value) || isBackoff(value)],
  delay: integer(0),
  keepLogs: integer(0),
  lifo: boolean,
  priority: ['an integer from 0 to 2097151', (value) => integer(0)[1](value) && (value as number) < 2 ** 21],
  removeOnComplete: retention,
  removeOnFail: retention,
  sizeLimit: integer(1),
  stackTraceLimit: integer(1),
  telemetry: object,
  timestamp: ['ms since the epoch', (value) => Number.isSafeInteger(value) && (value as number) > 0]
}

/** Any other BullMQ would refuse late: some only when an attempt has failed. */
function isBackoff (value: unknown): boolean {
  if (!object[1](value)) return false
  const { type, delay = 0, jitter = 0 } = value as { type?: unknown, delay?: unknown, jitter?: unknown }
  return (type === 'fixed' || type === 'exponential') && integer(0)[1](delay) && typeof jitter === 'number' && jitter >= 0 && jitter <= 1
}

function isConnection (value: unknown): boolean {
  if (!object[1](value)) return typeof value === 'string' && /^(rediss?|postgres(ql)?):\/\//.test(value) && URL.canParse(value)
  const { options, query, keyPrefix: own } = value as { options?: { redisOptions?: object }, query?: unknown, keyPrefix?: unknown }
  // One connection of pg is no pool.
  if (typeof query === 'function' && !object[1](options)) return false
  // With such a client BullMQ would not work, and say so in the log alone.
  const { maxRetriesPerRequest, keyPrefix = own } = { ...options, ...options?.redisOptions } as { maxRetriesPerRequest?: unknown, keyPrefix?: unknown }
  return typeof maxRetriesPerRequest !== 'number' && !keyPrefix
}

/** The queue of a kind that names none. */
export const DEFAULT_QUEUE = 'default'

// Both must be there.
const limiter: OptionCheck = ['{ max, duration in ms }',
  (value) => isObjectOf({ max: 0, duration: 0, ...value as object }, { max: integer(1), duration: integer(1) })]

// BullMQ separates the parts of its keys by colons.
const queueName: OptionCheck = ["a non-empty string without ':'", (value) => nonEmptyString[1](value) && !(value as string).includes(':')]

function isQueues (value: unknown): boolean {
  return object[1](value) && Object.entries(value as object).every(([name, queue]) => (
    queueName[1](name) && (integer(1)[1](queue) || isObjectOf(queue, { concurrency: integer(1), limiter }))
  ))
}

const PLUGIN_OPTIONS: OptionChecks = {
  connection: ['an object without keyPrefix, a pool of pg, a client for Redis with maxRetriesPerRequest: null, or a redis:// or postgres:// URL', isConnection],
  queue: queueName,
  queues: ['an object that has a concurrency, or { concurrency, limiter }, for each queue', isQueues],
  redisPrefix: nonEmptyString,
  worker: boolean,
  concurrency: integer(1),
  lockDuration: integer(1),
  stalledInterval: integer(1),
  maxStalledCount: integer(0),
  limiter,
  telemetry: object,
  removeOnComplete: retention,
  removeOnFail: retention,
  cancelTimeout: integer(0),
  closeTimeout: integer(0)
}

const DEFINITION_OPTIONS: OptionChecks = { ...ENGINE_JOB_OPTIONS, queue: queueName, expiresIn: integer(1), onClose: oneOf('cancel', 'wait'), schema: object, timeout: integer(1) }
const JOB_OPTIONS: OptionChecks = {
  ...ENGINE_JOB_OPTIONS, expiresIn: integer(1), name: nonEmptyString, transaction: [TRANSACTION, isTransactionClient], ttl: integer(1)
}

const KEPT = { age: 86_400, count: 1_000 }

/**
 * A copy of what is set.
 * @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION naming the option that is wrong or unknown
 */
function check<T extends object> (checks: OptionChecks, options: T): T {
  if (!object[1](options)) throw new FST_ERR_JOB_INVALID_ARGUMENT('options', object[0], formatValue(options))
  checkOptions(options, checks, FST_ERR_JOB_INVALID_OPTION)
  return omitUndefined(options)
}

export type Settings = Omit<FastifyJobsOptions, 'queues' | 'worker' | 'concurrency' | 'limiter'>
& Required<Pick<FastifyJobsOptions, 'connection' | 'queue' | 'lockDuration' | 'stalledInterval' | 'maxStalledCount' | 'cancelTimeout' | 'closeTimeout'>>
& {
  /** The queues that are listed. */
  listed: string[]
  /** Those of them that this process works, and how. */
  worked: ReadonlyMap<string, QueueSettings>
}

/** @throws FST_ERR_JOB_INVALID_OPTION */
export function checkPluginOptions (log: FastifyBaseLogger, registered: FastifyJobsOptions): Settings {
  const options = checkRegistration(log, 'fastify-tasks/jobs', registered, PLUGIN_OPTIONS, FST_ERR_JOB_INVALID_OPTION)
  if (options.connection === undefined) throw new FST_ERR_JOB_INVALID_OPTION('connection', PLUGIN_OPTIONS.connection[0], 'undefined')
  const { connection, redisPrefix } = options
  // Its keys must lie on one node: BullMQ's scripts use several.
  if ((connection as { isCluster?: unknown }).isCluster === true && !/\{[^}]+\}/.test(redisPrefix ?? '')) {
    throw new FST_ERR_JOB_INVALID_OPTION('redisPrefix', "of the form '{name}', for the connection is a Redis Cluster", formatValue(redisPrefix))
  }
  const { lockDuration = 30_000, worker = true, concurrency = 10, limiter, queues = { [DEFAULT_QUEUE]: {} }, ...others } = options
  const settingsOf = (queue: number | QueueSettings): QueueSettings => omitUndefined({ concurrency, limiter, ...typeof queue === 'number' ? { concurrency: queue } : queue })
  return {
    queue: 'fastify-tasks',
    lockDuration,
    // Every fifth of the lock: a crash is noticed at most 1.2 times the lock after it.
    stalledInterval: Math.ceil(lockDuration / 5),
    maxStalledCount: 10,
    removeOnComplete: KEPT,
    removeOnFail: KEPT,
    cancelTimeout: 5_000,
    closeTimeout: 10_000,
    ...others,
    listed: Object.keys(queues),
    worked: new Map(worker ? Object.entries(queues).map(([name, queue]) => [name, settingsOf(queue)]) : [])
  }
}

/** How many jobs of the queue this process may run at a time: none of one that it does not work. */
export function concurrencyOf ({ worked }: Pick<Settings, 'worked'>, queue: string): number {
  return worked.get(queue)?.concurrency ?? 0
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION */
export function checkDefinition (kind: unknown, handler: unknown, options: JobDefinition = {}): JobDefinition {
  checkText('kind', kind)
  checkName(kind)
  if (typeof handler !== 'function') throw new FST_ERR_JOB_INVALID_ARGUMENT('handler', 'a function', formatValue(handler))
  return check(DEFINITION_OPTIONS, options)
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_INVALID_TEXT */
export function checkJobOptions (options: JobOptions = {}): JobOptions {
  const checked = check(JOB_OPTIONS, options)
  if (checked.name !== undefined) checkName(checked.name)
  return checked
}

const { delay, timestamp, ...REPEATED_JOB_OPTIONS } = ENGINE_JOB_OPTIONS
const date: OptionCheck = ['a date', (value) => !Number.isNaN(new Date(value).getTime())]
const SCHEDULE_OPTIONS: OptionChecks = {
  ...REPEATED_JOB_OPTIONS,
  kind: nonEmptyString,
  // Checked as that of any job.
  data: ['JSON', () => true],
  pattern: nonEmptyString,
  every: integer(1),
  tz: nonEmptyString,
  limit: integer(1),
  startDate: date,
  endDate: date,
  ttl: integer(1),
  expiresIn: integer(1)
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION */
export function checkScheduleOptions (options: JobScheduleOptions): JobScheduleOptions {
  const checked = check(SCHEDULE_OPTIONS, options)
  if (checked.kind === undefined) throw new FST_ERR_JOB_INVALID_OPTION('kind', SCHEDULE_OPTIONS.kind[0], 'undefined')
  return checked
}

/** Why a stored record is none of a job that can be started: it may have been stored by something else. */
export function findProblem (data: unknown): string | undefined {
  if (!object[1](data)) return 'its data was not stored by addJob'
  const { name, ttl, expiresAt } = data as Record<string, unknown>
  if (!nonEmptyString[1](name)) return `its name must be ${nonEmptyString[0]}`
  if (ttl !== undefined && !JOB_OPTIONS.ttl[1](ttl)) return `its ttl must be ${JOB_OPTIONS.ttl[0]}`
  if (expiresAt !== undefined && !Number.isFinite(expiresAt)) return 'its expiresAt must be a number of ms'
  return problemOf(name as string)
}

/** In characters. */
const MAX_NAME = 1_000

/** @throws FST_ERR_JOB_INVALID_TEXT */
export function checkName (name: string): void {
  const problem = problemOf(name)
  if (problem !== undefined) throw new FST_ERR_JOB_INVALID_TEXT(problem)
}

function problemOf (name: string): string | undefined {
  if (name.length > MAX_NAME) return `a name of ${name.length} characters, more than ${MAX_NAME}`
  return isStorable(name) ? undefined : 'a name with U+0000 or half of a surrogate pair'
}

/** Whether both stores can hold it: PostgreSQL takes neither U+0000 nor half of a surrogate pair. */
export function isStorable (text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

const WAIT_OPTIONS: OptionChecks = {
  signal: abortSignal,
  timeout: integer(0)
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION */
export function checkWaitOptions (options: WaitOptions = {}): WaitOptions {
  return check(WAIT_OPTIONS, options)
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT */
export function checkJobList (list: unknown): asserts list is readonly unknown[] {
  if (!Array.isArray(list)) throw new FST_ERR_JOB_INVALID_ARGUMENT('list', 'an array', formatValue(list))
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT */
export function checkJobToAdd (job: unknown): asserts job is JobToAdd {
  if (!object[1](job)) throw new FST_ERR_JOB_INVALID_ARGUMENT('list', 'an array of { data, name, … }', formatValue(job))
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT */
export function checkText (argument: string, value: unknown): asserts value is string {
  if (!nonEmptyString[1](value)) throw new FST_ERR_JOB_INVALID_ARGUMENT(argument, nonEmptyString[0], formatValue(value))
}
