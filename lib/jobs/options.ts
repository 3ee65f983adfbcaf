import type { FastifyJobsOptions, JobDefinition, JobOptions } from '../../types/job'
import { FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_DATA, FST_ERR_JOB_INVALID_OPTION } from '../shared/errors'
import { show } from '../tasks/options'

const MAX_TIMEOUT = 2 ** 31 - 1

type Check = [expected: string, holds: (value: unknown) => boolean]

const integer = (min: number): Check => [`an integer from ${min} to ${MAX_TIMEOUT}`,
  (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= MAX_TIMEOUT]
const text: Check = ['a non-empty string', (value) => typeof value === 'string' && value !== '']
const object: Check = ['an object', (value) => typeof value === 'object' && value !== null]
const flag: Check = ['true or false', (value) => typeof value === 'boolean']
const retention: Check = ['true, false, a count, or { age in s, count }',
  (value) => flag[1](value) || integer(0)[1](value) || holdsAll(value, { age: integer(0), count: integer(0), limit: integer(0) })]

/** What the engine takes for a job. It checks little by itself, and late. */
const ENGINE_JOB_OPTIONS: Record<string, Check> = {
  attempts: integer(1),
  backoff: ["a number of ms or { type: 'fixed' or 'exponential', delay in ms, jitter from 0 to 1 }", (value) => integer(0)[1](value) || isBackoff(value)],
  delay: integer(0),
  keepLogs: integer(0),
  lifo: flag,
  priority: ['an integer from 0 to 2097151', (value) => integer(0)[1](value) && (value as number) < 2 ** 21],
  removeOnComplete: retention,
  removeOnFail: retention,
  sizeLimit: integer(1),
  stackTraceLimit: integer(1),
  telemetry: object,
  timestamp: ['ms since the epoch', (value) => Number.isSafeInteger(value) && (value as number) > 0]
}

/** Whether it is an object of nothing but these. */
function holdsAll (value: unknown, checks: Record<string, Check>): boolean {
  return object[1](value) && Object.entries(value as object).every(([key, part]) => Object.hasOwn(checks, key) && checks[key][1](part))
}

/** Any other the engine would refuse late: some only when an attempt has failed. */
function isBackoff (value: unknown): boolean {
  if (!object[1](value)) return false
  const { type, delay = 0, jitter = 0 } = value as { type?: unknown, delay?: unknown, jitter?: unknown }
  return (type === 'fixed' || type === 'exponential') && integer(0)[1](delay) && typeof jitter === 'number' && jitter >= 0 && jitter <= 1
}

function isConnection (value: unknown): boolean {
  if (!object[1](value)) return typeof value === 'string' && /^(rediss?|postgres(ql)?):\/\//.test(value)
  // With such a client the engine would not work, and say so in the log alone.
  const { options = {} } = value as { options?: { maxRetriesPerRequest?: unknown, keyPrefix?: unknown, redisOptions?: object } }
  const { maxRetriesPerRequest, keyPrefix } = { ...options, ...options.redisOptions }
  return typeof maxRetriesPerRequest !== 'number' && !keyPrefix
}

const PLUGIN_OPTIONS: Record<string, Check> = {
  connection: ['an object, a client with maxRetriesPerRequest: null and no keyPrefix, or a redis:// or postgres:// URL', isConnection],
  queue: ["a non-empty string without ':'", (value) => text[1](value) && !(value as string).includes(':')],
  prefix: text,
  worker: flag,
  concurrency: integer(1),
  lockDuration: integer(1),
  stalledInterval: integer(1),
  maxStalledCount: integer(0),
  // Both must be there.
  limiter: ['{ max, duration in ms }', (value) => holdsAll({ max: 0, duration: 0, ...value as object }, { max: integer(1), duration: integer(1) })],
  telemetry: object,
  removeOnComplete: retention,
  removeOnFail: retention,
  cancelTimeout: integer(0),
  closeTimeout: integer(0)
}

const DEFINITION_OPTIONS: Record<string, Check> = { ...ENGINE_JOB_OPTIONS, schema: object, timeout: integer(1) }
const JOB_OPTIONS: Record<string, Check> = { ...ENGINE_JOB_OPTIONS, name: text, ttl: integer(1) }

const KEPT = { age: 86_400, count: 1_000 }

/** What is set: an `undefined`, such as Fastify's `register` adds, would hide a default. */
export function given<T extends object> (options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}

/**
 * A copy of what is set.
 * @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION naming the option that is wrong or unknown
 */
function check<T extends object> (checks: Record<string, Check>, options: T): T {
  if (!object[1](options)) throw new FST_ERR_JOB_INVALID_ARGUMENT('options', object[0], show(options))
  const set = given(options)
  for (const [option, value] of Object.entries(set)) {
    if (!Object.hasOwn(checks, option)) throw new FST_ERR_JOB_INVALID_OPTION(option, `one of ${Object.keys(checks).join(', ')}`, show(value))
    const [expected, holds] = checks[option]
    if (!holds(value)) throw new FST_ERR_JOB_INVALID_OPTION(option, expected, show(value))
  }
  return set
}

export type Settings = FastifyJobsOptions & Required<Pick<FastifyJobsOptions,
'connection' | 'queue' | 'worker' | 'concurrency' | 'lockDuration' | 'stalledInterval' | 'maxStalledCount' | 'cancelTimeout' | 'closeTimeout'>>

/** @throws FST_ERR_JOB_INVALID_OPTION */
export function checkPluginOptions (registered: FastifyJobsOptions & { logLevel?: unknown, logSerializers?: unknown }): Settings {
  const { logLevel, logSerializers, ...rest } = registered
  const options = check(PLUGIN_OPTIONS, rest)
  if (options.connection === undefined) throw new FST_ERR_JOB_INVALID_OPTION('connection', PLUGIN_OPTIONS.connection[0], 'undefined')
  const { lockDuration = 30_000 } = options
  return {
    queue: 'fastify-tasks',
    worker: true,
    concurrency: 10,
    lockDuration,
    // Every fifth of the lock: a crash is noticed at most 1.2 times the lock after it.
    stalledInterval: Math.ceil(lockDuration / 5),
    maxStalledCount: 10,
    removeOnComplete: KEPT,
    removeOnFail: KEPT,
    cancelTimeout: 5_000,
    closeTimeout: 10_000,
    ...options
  }
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION */
export function checkDefinition (kind: unknown, handler: unknown, options: JobDefinition = {}): JobDefinition {
  checkText('kind', kind)
  if (typeof handler !== 'function') throw new FST_ERR_JOB_INVALID_ARGUMENT('handler', 'a function', show(handler))
  return check(DEFINITION_OPTIONS, options)
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION */
export function checkJobOptions (options: JobOptions = {}): JobOptions {
  return check(JOB_OPTIONS, options)
}

/** @throws FST_ERR_JOB_INVALID_ARGUMENT */
export function checkText (argument: string, value: unknown): asserts value is string {
  if (!text[1](value)) throw new FST_ERR_JOB_INVALID_ARGUMENT(argument, text[0], show(value))
}

/**
 * The data as another process will see it. Left out, it is `null`.
 * @throws FST_ERR_JOB_INVALID_DATA when JSON would change or lose it
 */
export function copyData (kind: string, data: unknown): unknown {
  try {
    const json = JSON.stringify(data, refuse)
    return json === undefined ? null : JSON.parse(json)
  } catch (error) {
    throw new FST_ERR_JOB_INVALID_DATA(kind, `is not JSON: ${(error as Error).message}`)
  }
}

/**
 * Counts the data alone: the engine would count what is stored around it, too.
 * @throws FST_ERR_JOB_INVALID_DATA when the data has more bytes than it may
 */
export function checkSize (kind: string, data: unknown, sizeLimit?: number): void {
  if (sizeLimit === undefined) return
  const size = Buffer.byteLength(JSON.stringify(data))
  if (size > sizeLimit) throw new FST_ERR_JOB_INVALID_DATA(kind, `has ${size} bytes, more than its sizeLimit of ${sizeLimit}`)
}

function refuse (key: string, value: unknown): unknown {
  // A member that is undefined is left out, as everywhere; what JSON would silently turn into something else is refused.
  if (typeof value === 'function' || typeof value === 'symbol' || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new TypeError(`${key === '' ? 'it' : show(key)} is ${show(value)}`)
  }
  return value
}
