import { inspect } from 'node:util'
import type { FastifyTasksOptions, TaskOptions, TaskProgress } from '../../types/task'
import { FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_INVALID_OPTION } from '../shared/errors'

/** The longest delay of a Node timer, in ms: beyond it a timer fires at once. */
const MAX_TIMEOUT = 2 ** 31 - 1

// Fastify hands its own options of `register` to the plugin too.
const REGISTER_OPTIONS = new Set(['prefix', 'logLevel', 'logSerializers'])

const PLUGIN_DEFAULTS: Required<FastifyTasksOptions> = { cancelTimeout: 5_000, closeTimeout: 10_000, keepEnded: 1_000 }

const NO_OPTIONS: TaskOptions = Object.freeze({})

/** Shows a wrong value in an error's message, on one line and cut short. */
export function show (value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 100 })
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

function isIntegerBetween (value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

/** @throws FST_ERR_TASK_INVALID_OPTION naming the option that is wrong or unknown */
export function checkPluginOptions (options: FastifyTasksOptions): Required<FastifyTasksOptions> {
  const settings = { ...PLUGIN_DEFAULTS }
  for (const [option, value] of Object.entries(options)) {
    if (REGISTER_OPTIONS.has(option) || value === undefined) continue
    if (!Object.hasOwn(PLUGIN_DEFAULTS, option)) {
      throw new FST_ERR_TASK_INVALID_OPTION(option, `one of ${Object.keys(PLUGIN_DEFAULTS).join(', ')}`, show(value))
    }
    const max = option === 'keepEnded' ? Number.MAX_SAFE_INTEGER : MAX_TIMEOUT
    if (!isIntegerBetween(value, 0, max)) {
      throw new FST_ERR_TASK_INVALID_OPTION(option, `an integer from 0 to ${max}`, show(value))
    }
    settings[option as keyof FastifyTasksOptions] = value
  }
  return settings
}

/** @throws FST_ERR_TASK_INVALID_OPTION naming the option that is wrong or unknown */
export function checkTaskOptions (options: TaskOptions = NO_OPTIONS): TaskOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new FST_ERR_TASK_INVALID_ARGUMENT('options', 'an object', show(options))
  }
  for (const option in options) checkTaskOption(option, options[option as keyof TaskOptions])
  return options
}

function checkTaskOption (option: string, value: unknown): void {
  if (value === undefined) return
  switch (option) {
    case 'name':
      if (typeof value === 'string' && value !== '') return
      throw new FST_ERR_TASK_INVALID_OPTION(option, 'a non-empty string', show(value))
    case 'ttl':
      if (isIntegerBetween(value, 1, MAX_TIMEOUT)) return
      throw new FST_ERR_TASK_INVALID_OPTION(option, `an integer from 1 to ${MAX_TIMEOUT} (ms)`, show(value))
    case 'signal':
      if (value instanceof AbortSignal) return
      throw new FST_ERR_TASK_INVALID_OPTION(option, 'an AbortSignal', show(value))
    case 'onClose':
      if (value === 'cancel' || value === 'wait') return
      throw new FST_ERR_TASK_INVALID_OPTION(option, "'cancel' or 'wait'", show(value))
    default:
      throw new FST_ERR_TASK_INVALID_OPTION(option, 'one of name, ttl, signal, onClose', show(value))
  }
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT when the name of a task is not a string */
export function checkName (name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new FST_ERR_TASK_INVALID_ARGUMENT('name', 'a string', show(name))
}

/**
 * A copy of the progress, so that what a listener or a client sees later is what was reported.
 * @throws FST_ERR_TASK_INVALID_ARGUMENT
 */
export function checkProgress (value: unknown): TaskProgress {
  if (typeof value === 'number' && value >= 0 && value <= 100) return value
  const copy = copyJsonObject(value)
  if (copy === undefined) {
    throw new FST_ERR_TASK_INVALID_ARGUMENT('progress', 'a number from 0 to 100 or a JSON object', show(value))
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
