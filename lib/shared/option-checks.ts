import { inspect } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { clip, redactUrls } from './redaction'
import { logLine } from './thrown'

/** The longest delay of a Node timer, in ms: beyond it a timer fires at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1

/** What an option must be, for the message of the error, and whether a value is that. */
export type OptionCheck = readonly [expected: string, accepts: (value: any) => boolean]
export type OptionChecks = Readonly<Record<string, OptionCheck>>

/** The coded error for an option that is wrong or unknown: tasks have one, and jobs another. */
type InvalidOptionError = new (option: string, expected: string, got: string) => Error

export const integer = (min: number, max = MAX_TIMEOUT, unit = ''): OptionCheck => [
  `an integer from ${min} to ${max}${unit}`, (value) => Number.isInteger(value) && value >= min && value <= max]
export const text: OptionCheck = ['a string', (value) => typeof value === 'string']
export const nonEmptyString: OptionCheck = ['a non-empty string', (value) => typeof value === 'string' && value !== '']
export const boolean: OptionCheck = ['true or false', (value) => typeof value === 'boolean']
export const object: OptionCheck = ['an object', (value) => typeof value === 'object' && value !== null && !Array.isArray(value)]
export const oneOf = (...values: string[]): OptionCheck => [
  new Intl.ListFormat('en', { type: 'disjunction' }).format(values.map((value) => `'${value}'`)), (value) => values.includes(value)]

/** Not by its class: it may be of another realm, as in vitest with jsdom. */
export const abortSignal: OptionCheck = ['an AbortSignal',
  (value) => hasMethods(value, 'addEventListener', 'removeEventListener') && has(value, 'aborted', 'boolean')]

/** Whether it is an object with these methods, which are not called. */
export function hasMethods (value: any, ...methods: string[]): boolean {
  return typeof value === 'object' && methods.every((method) => has(value, method, 'function'))
}

function has (value: any, member: string, type: 'function' | 'boolean'): boolean {
  try {
    return typeof value[member] === type // eslint-disable-line valid-typeof -- it is one of two
  } catch { // It is null, or a getter of it has thrown.
    return false
  }
}

/** Whether the value is an object that has no other members than these, each of them accepted. */
export function isObjectOf (value: unknown, checks: OptionChecks): boolean {
  return object[1](value) && Object.entries(value as object).every(([key, part]) => Object.hasOwn(checks, key) && checks[key][1](part))
}

/** Formats a wrong value for an error's message: on one line and cut short. */
export function formatValue (value: unknown): string {
  try {
    return clip(inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 100 }))
  } catch { // An inspect function of its own has thrown.
    return 'a value that cannot be shown'
  }
}

/** Leaves out what is `undefined`: it would hide a default. */
export function omitUndefined<T extends object> (options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}

/**
 * Checks the options of a call.
 * @throws InvalidOption naming the option that is wrong or unknown
 */
export function checkOptions (options: object, checks: OptionChecks, InvalidOption: InvalidOptionError): void {
  for (const option in options) {
    const value = options[option as keyof typeof options] as unknown
    if (value === undefined) continue
    if (!Object.hasOwn(checks, option)) throw new InvalidOption(option, `one of ${Object.keys(checks).join(', ')}`, formatValue(value))
    const [expected, accepts] = checks[option]
    if (!accepts(value)) throw new InvalidOption(option, expected, formatValue(value))
  }
}

// Fastify hands its own options of `register` to the plugin too.
const REGISTER_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

/**
 * Checks the options of a registration. Unknown ones are logged by name and left out: hosts such as `@fastify/autoload` and
 * `fastify-cli` hand every plugin options of their own.
 * @returns a copy of those that are known and set
 * @throws InvalidOption naming the option whose value is wrong
 */
export function checkRegistration<T extends object> (
  log: FastifyBaseLogger, plugin: string, options: T, checks: OptionChecks, InvalidOption: InvalidOptionError
): T {
  const set = Object.entries(omitUndefined(options))
  const known = Object.fromEntries(set.filter(([option]) => Object.hasOwn(checks, option))) as T
  checkOptions(known, checks, InvalidOption)
  const unknown = set.map(([option]) => option).filter((option) => !Object.hasOwn(known, option) && !REGISTER_OPTIONS.includes(option))
  if (unknown.length > 0) logLine(log, 'warn', 'Unknown options are ignored', { plugin, options: unknown.map(redactUrls) })
  return known
}
