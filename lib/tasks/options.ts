import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { FastifyTasksOptions, TaskGroupLimits, TaskOptions, TaskProgress } from '../../types/task'
import { FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_INVALID_OPTION } from '../shared/errors'
import { abortSignal, checkOptions, checkRegistration, formatValue, hasMethods, integer, nonEmptyString, oneOf, type OptionChecks } from '../shared/option-checks'

const PLUGIN_OPTIONS: OptionChecks = {
  cancelTimeout: integer(0),
  closeTimeout: integer(0),
  keepEnded: integer(0, Number.MAX_SAFE_INTEGER),
  emitter: ['an mqemitter', isEmitter],
  peerTimeout: integer(1)
}

type CheckedOptions = Required<Omit<FastifyTasksOptions, 'emitter'>> & Pick<FastifyTasksOptions, 'emitter'>

const PLUGIN_DEFAULTS: CheckedOptions = { cancelTimeout: 5_000, closeTimeout: 10_000, keepEnded: 1_000, peerTimeout: 1_000 }

const TASK_OPTIONS: OptionChecks = {
  name: nonEmptyString,
  group: nonEmptyString,
  ttl: integer(1, undefined, ' (ms)'),
  timeout: integer(1, undefined, ' (ms)'),
  signal: abortSignal,
  onClose: oneOf('cancel', 'wait'),
  log: ['a logger, such as request.log', (value) => hasMethods(value, 'child', 'debug', 'error')]
}

const GROUP_LIMITS: OptionChecks = {
  concurrency: integer(1, Number.MAX_SAFE_INTEGER),
  maxPending: integer(1, Number.MAX_SAFE_INTEGER)
}

const NO_OPTIONS: TaskOptions = Object.freeze({})

/** @throws FST_ERR_TASK_INVALID_OPTION naming the option whose value is wrong */
export function checkPluginOptions (log: FastifyBaseLogger, options: FastifyTasksOptions): CheckedOptions {
  return { ...PLUGIN_DEFAULTS, ...checkRegistration(log, 'fastify-tasks', options, PLUGIN_OPTIONS, FST_ERR_TASK_INVALID_OPTION) }
}

/** @throws FST_ERR_TASK_INVALID_OPTION naming the option that is wrong or unknown */
export function checkTaskOptions (options: TaskOptions = NO_OPTIONS): TaskOptions {
  checkObject('options', options)
  checkOptions(options, TASK_OPTIONS, FST_ERR_TASK_INVALID_OPTION)
  return options
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_INVALID_OPTION naming the limit that is wrong or unknown */
export function checkGroupLimits (limits: TaskGroupLimits): TaskGroupLimits {
  checkObject('limits', limits)
  checkOptions(limits, GROUP_LIMITS, FST_ERR_TASK_INVALID_OPTION)
  return { concurrency: limits.concurrency, maxPending: limits.maxPending }
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT */
export function checkObject (argument: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FST_ERR_TASK_INVALID_ARGUMENT(argument, 'an object', formatValue(value))
  }
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT when the name of a task is not a string */
export function checkName (name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new FST_ERR_TASK_INVALID_ARGUMENT('name', 'a string', formatValue(name))
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT when the name of a group is not a non-empty string */
export function checkGroup (group: unknown): asserts group is string {
  if (typeof group !== 'string' || group === '') throw new FST_ERR_TASK_INVALID_ARGUMENT('group', 'a non-empty string', formatValue(group))
}

/** Whether it has a `then`, which is not called. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return hasMethods(value, 'then')
}

/**
 * A copy of the progress, so that what a listener or a client sees later is what was reported.
 * @throws FST_ERR_TASK_INVALID_ARGUMENT
 */
export function checkProgress (value: unknown): TaskProgress {
  if (typeof value === 'number' && value >= 0 && value <= 100) return value
  const copy = copyJsonObject(value)
  if (copy === undefined) {
    throw new FST_ERR_TASK_INVALID_ARGUMENT('progress', 'a number from 0 to 100 or a JSON object', formatValue(value))
  }
  return copy
}

function copyJsonObject (value: unknown): Record<string, unknown> | undefined {
  try {
    const copy = JSON.parse(JSON.stringify(value))
    return typeof copy === 'object' && !Array.isArray(copy) ? freeze(copy) : undefined
  } catch {} // null, undefined, a function, a cycle, a BigInt, a toJSON that throws
}

/** Whoever reads it could write it otherwise. */
function freeze<T extends object> (copy: T): T {
  for (const value of Object.values(copy)) if (typeof value === 'object' && value !== null) freeze(value)
  return Object.freeze(copy)
}

/** Not Node's `EventEmitter`, whose `emit` takes the event and its arguments separately. */
function isEmitter (value: any): boolean {
  return !(value instanceof EventEmitter) && ['on', 'emit', 'removeListener'].every((method) => typeof value?.[method] === 'function')
}
