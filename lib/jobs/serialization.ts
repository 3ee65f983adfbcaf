import type { Job as EngineJob } from 'bullmq'
import { FST_ERR_JOB_CANCELLED, FST_ERR_JOB_EXPIRED, FST_ERR_JOB_FAILED } from '../shared/errors'
import { describeThrown } from '../shared/thrown'

/** The reason of a cancel, as JSON. */
export interface Reason {
  value?: unknown
  error?: { name: string, message: string, code?: string }
}

/** What BullMQ stores as a job's data. */
export interface Payload {
  name: string
  data: unknown
  ttl?: number
  /** Set by the first request to stop. */
  cancel?: Reason
  /** When it is no longer to be started, in ms since the epoch. */
  expiresAt?: number
  /** How often it came to a process that could not start it. */
  misrouted?: number
  /** How often it was retried after its end: a request to stop is for the run that it was made for. */
  retries?: number
  /** A retry began at this time, in ms since the epoch, of a job that had been started so often. */
  retrying?: { at: number, starts: number }
}

export type Stored = EngineJob<Payload, unknown, string>

/** How often its handler was started. */
export function startsOf ({ attemptsStarted, data }: Stored): number {
  return attemptsStarted - (data.misrouted ?? 0)
}

export function serializeReason (reason: unknown): Reason {
  const packed: Reason = reason instanceof Error ? { error: { name: nameOf(reason), ...describeThrown(reason) } } : { value: reason }
  try {
    return JSON.parse(storableJson(JSON.stringify(packed)))
  } catch { // a cycle, a BigInt
    return { value: storable(describeThrown(reason).message) }
  }
}

/** The text without what PostgreSQL cannot hold. */
function storable (text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD')
}

// What is escaped in well-formed JSON, unless its backslash is escaped itself.
const UNSTORABLE = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f]..)/g

/** What `JSON.stringify` has made, without what PostgreSQL cannot hold. */
export function storableJson (json: string): string {
  return json.includes('\\u') ? json.replace(UNSTORABLE, '$1\uFFFD') : json
}

/** The result as PostgreSQL can hold it. */
export function storableResult (result: unknown): unknown {
  const json = JSON.stringify(result) ?? ''
  const storable = storableJson(json)
  return storable === json ? result : JSON.parse(storable)
}

export function deserializeReason ({ value, error }: Reason): unknown {
  if (error === undefined) return value
  const { message, ...rest } = error
  return Object.assign(new Error(message), rest)
}

/** Whatever was thrown, asking it must not throw again. */
function nameOf (thrown: unknown): string {
  try {
    return String((thrown as Error).name ?? 'Error')
  } catch {
    return 'Error'
  }
}

function framesOf (thrown: unknown): string {
  try {
    return /\n {4}at [^]*/.exec((thrown as Error).stack!)?.[0] ?? ''
  } catch {
    return ''
  }
}

const CANCELLED = 'JobCancelled'
const UNRECOVERABLE = 'UnrecoverableError'

// BullMQ keeps an error's message and stack, nothing else: its code travels in the stack's first line, where Node has it.
const CODE = /^([^\s:]+) \[([^\]]+)\]: /

/** The error that makes BullMQ note the failure of an attempt, and try again if attempts are left. */
export function toEngineError (thrown: unknown): Error {
  const name = nameOf(thrown)
  const { code, message } = describeThrown(thrown)
  const error = new Error(storable(message))
  // By this name BullMQ knows that it is not to try again.
  if (name === UNRECOVERABLE) error.name = name
  // A handler's own error is no cancel, whatever it calls itself.
  const head = name === CANCELLED ? 'Error' : name
  error.stack = storable(`${code === undefined ? head : `${head} [${code}]`}: ${message}${framesOf(thrown)}`)
  return error
}

/** The error that makes BullMQ note a cancel, and not try again. */
export function cancellation (name: string, reason: unknown): Error {
  const { code = 'FST_ERR_JOB_CANCELLED' } = reason instanceof Error ? describeThrown(reason) : {}
  const error = new Error(cancelledMessage(name), { cause: reason })
  error.name = UNRECOVERABLE
  error.stack = `${CANCELLED} [${code}]: ${error.message}${framesOf(reason)}`
  return error
}

function cancelledMessage (name: string): string {
  return `Job '${name}' was cancelled`
}

/** How a job has failed, by the message alone: all that BullMQ's event has of it. */
export function readFailureEvent (name: string, message: string): { state: 'failed' | 'cancelled', error: Error & { code: string } } {
  return message === cancelledMessage(name)
    ? { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(name) }
    : { state: 'failed', error: new FST_ERR_JOB_FAILED(message) }
}

/** What a job that BullMQ holds for failed has come to. */
export function readFailure ({ data, stacktrace, failedReason }: Stored): { state: 'failed' | 'cancelled', error: Error & { code: string } } {
  const stack = stacktrace?.at(-1) ?? ''
  const [, head, code] = CODE.exec(stack) ?? []
  if (head === CANCELLED && code === 'FST_ERR_JOB_EXPIRED') return { state: 'cancelled', error: new FST_ERR_JOB_EXPIRED(data.name) }
  if (head === CANCELLED) {
    const cause = data.cancel === undefined
      ? Object.assign(new Error(`Job '${data.name}' was cancelled by the worker that ran it`), { code })
      : deserializeReason(data.cancel)
    return { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(data.name, { cause }) }
  }
  const error = new FST_ERR_JOB_FAILED(failedReason ?? '')
  if (code !== undefined) error.code = code
  // Where the handler failed, and not where this is read.
  if (stack !== '') error.stack = stack
  return { state: 'failed', error }
}
