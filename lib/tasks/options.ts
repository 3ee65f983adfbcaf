import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { FastifyTasksOptions, TaskOptions, TaskProgress } from '../../types/task'
import { FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_INVALID_OPTION } from '../shared/errors'
import { checkOptions, checkRegistration, formatValue, integer, nonEmptyString, oneOf, type OptionChecks } from '../shared/option-checks'

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
  ttl: integer(1, undefined, ' (ms)'),
  signal: ['an AbortSignal', (value) => value instanceof AbortSignal],
  onClose: oneOf('cancel', 'wait')
}

const NO_OPTIONS: TaskOptions = Object.freeze({})

/** @throws FST_ERR_TASK_INVALID_OPTION naming the option whose value is wrong */
export function checkPluginOptions (log: FastifyBaseLogger, options: FastifyTasksOptions): CheckedOptions {
  return { ...PLUGIN_DEFAULTS, ...checkRegistration(log, 'fastify-tasks', options, PLUGIN_OPTIONS, FST_ERR_TASK_INVALID_OPTION) }
}

/** @throws FST_ERR_TASK_INVALID_OPTION naming the option that is wrong or unknown */
export function checkTaskOptions (options: TaskOptions = NO_OPTIONS): TaskOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new FST_ERR_TASK_INVALID_ARGUMENT('options', 'an object', formatValue(options))
  }
  checkOptions(options, TASK_OPTIONS, FST_ERR_TASK_INVALID_OPTION)
  return options
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT when the name of a task is not a string */
export function checkName (name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new FST_ERR_TASK_INVALID_ARGUMENT('name', 'a string', formatValue(name))
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
    return typeof copy === 'object' && copy !== null && !Array.isArray(copy) ? copy : undefined
  } catch { // undefined, a function, a cycle, a BigInt, a toJSON that throws
    return undefined
  }
}

/** Not one of Node's own, whose `emit` takes the event and its arguments apart. */
function isEmitter (value: any): boolean {
  return !(value instanceof EventEmitter) && ['on', 'emit', 'removeListener'].every((method) => typeof value?.[method] === 'function')
}
