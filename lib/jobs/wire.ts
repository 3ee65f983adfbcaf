import type { Job as EngineJob } from 'bullmq'
import { FST_ERR_JOB_CANCELLED, FST_ERR_JOB_FAILED } from '../errors'
import { describeThrown } from '../thrown'

/** The reason of a cancel, as JSON. */
export interface Reason {
  value?: unknown
  error?: { name: string, message: string, code?: string }
}

/** What the engine stores as a job's data. */
export interface Payload {
  name: string
  data: unknown
  ttl?: number
  /** Set by the first request to stop. */
  cancel?: Reason
  /** How often it came to a process without its kind. */
  strayed?: number
}

export type Stored = EngineJob<Payload, unknown, string>

/** How often it was started where its kind is known. */
export function startsOf ({ attemptsStarted, data }: Stored): number {
  return attemptsStarted - (data.strayed ?? 0)
}

export function packReason (reason: unknown): Reason {
  if (reason instanceof Error) return { error: { name: nameOf(reason), ...describeThrown(reason) } }
  try {
    return JSON.parse(JSON.stringify({ value: reason }))
  } catch { // a cycle, a BigInt
    return { value: describeThrown(reason).message }
  }
}

export function unpackReason ({ value, error }: Reason): unknown {
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

// The engine keeps an error's message and stack, nothing else: its code travels in the stack's first line, where Node has it.
const CODE = /^([^\s:]+) \[([^\]]+)\]: /

/** The error that makes the engine note the failure of an attempt, and try again if attempts are left. */
export function failure (thrown: unknown): Error {
  const name = nameOf(thrown)
  const { code, message } = describeThrown(thrown)
  const error = new Error(message)
  // By this name the engine knows that it is not to try again.
  if (name === UNRECOVERABLE) error.name = name
  error.stack = `${code === undefined ? name : `${name} [${code}]`}: ${message}${framesOf(thrown)}`
  return error
}

/** The error that makes the engine note a cancel, and not try again. */
export function cancellation (name: string, reason: unknown): Error {
  const { code = 'FST_ERR_JOB_CANCELLED' } = reason instanceof Error ? describeThrown(reason) : {}
  const error = new Error(`Job '${name}' was cancelled`)
  error.name = UNRECOVERABLE
  error.stack = `${CANCELLED} [${code}]: ${error.message}${framesOf(reason)}`
  return error
}

/** What a job that the engine holds for failed has come to. */
export function failureOf ({ data, stacktrace, failedReason }: Stored): { state: 'failed' | 'cancelled', error: Error & { code: string } } {
  const [, head, code] = CODE.exec(stacktrace?.at(-1) ?? '') ?? []
  if (head === CANCELLED) {
    const cause = data.cancel === undefined
      ? Object.assign(new Error(`Job '${data.name}' was stopped where it ran`), { code })
      : unpackReason(data.cancel)
    return { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(data.name, { cause }) }
  }
  const error = new FST_ERR_JOB_FAILED(failedReason ?? '')
  if (code !== undefined) error.code = code
  return { state: 'failed', error }
}
