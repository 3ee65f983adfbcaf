import type { Job as EngineJob } from 'bullmq'
import { FST_ERR_JOB_CANCELLED, FST_ERR_JOB_FAILED } from '../errors'

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

export function packReason (reason: unknown): Reason {
  if (reason instanceof Error) return { error: describe(reason) }
  try {
    return JSON.parse(JSON.stringify({ value: reason }))
  } catch { // a cycle, a BigInt
    return { value: String(reason) }
  }
}

export function unpackReason ({ value, error }: Reason): unknown {
  if (error === undefined) return value
  const { name, message, code } = error
  return Object.assign(new Error(message), { name }, code !== undefined && { code })
}

/** Whatever was thrown, asking it must not throw again. */
function describe (thrown: unknown): { name: string, message: string, code?: string } {
  try {
    const { name, message, code } = thrown as Record<string, unknown>
    return {
      name: typeof name === 'string' ? name : 'Error',
      message: typeof message === 'string' ? message : String(thrown),
      ...typeof code === 'string' && { code }
    }
  } catch {
    return { name: 'Error', message: typeof thrown === 'object' && thrown !== null ? 'An error that cannot be described' : String(thrown) }
  }
}

const CANCELLED = 'JobCancelled'

// The engine keeps an error's message and stack, nothing else: its code travels in the stack's first line, where Node has it.
const CODE = /^([^\s:]+) \[([^\]]+)\]: /

/** The error that makes the engine note the failure of an attempt, and try again if attempts are left. */
export function failure (thrown: unknown): Error {
  const { name, message, code } = describe(thrown)
  return engineError(message, code === undefined ? undefined : `${name} [${code}]`, thrown)
}

/** The error that makes the engine note a cancel, and not try again. */
export function cancellation (name: string, reason: unknown): Error {
  const code = reason instanceof Error ? describe(reason).code : undefined
  const error = engineError(`Job '${name}' was cancelled`, `${CANCELLED} [${code ?? 'FST_ERR_JOB_CANCELLED'}]`, reason)
  // By this name the engine knows it.
  error.name = 'UnrecoverableError'
  return error
}

function engineError (message: string, head: string | undefined, cause: unknown): Error {
  const error = new Error(message)
  const name = describe(cause).name
  if (name === 'UnrecoverableError') error.name = name
  const stack = cause instanceof Error && typeof cause.stack === 'string' ? cause.stack : ''
  const frames = stack.slice(Math.max(0, stack.indexOf('\n    at ')))
  error.stack = `${head ?? name}: ${message}${frames.startsWith('\n') ? frames : ''}`
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
