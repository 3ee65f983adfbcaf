import { types } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'

// Anything can be thrown, including a value whose getters throw: none of these functions throws.

export function isAbortError (thrown: unknown): boolean {
  try {
    return (thrown as Error).name === 'AbortError'
  } catch {
    return false
  }
}

export function describeThrown (thrown: unknown): { code?: string, message: string } {
  try {
    if (typeof thrown !== 'object' || thrown === null) return { message: String(thrown) }
    const { code, message } = thrown as { code?: unknown, message?: unknown }
    return {
      code: typeof code === 'string' ? code : undefined,
      message: typeof message === 'string' ? message : String(thrown)
    }
  } catch {
    return { message: 'An error that cannot be described' }
  }
}

type Level = 'debug' | 'info' | 'warn' | 'error'

/**
 * Writes a line, and never throws. A logger may have serializers of the app's for fields that are called as ours are: where they
 * fail, the message alone is logged.
 */
export function logLine (log: FastifyBaseLogger, level: Level, message: string, fields: object = {}): void {
  if (!succeeds(() => log[level](fields, message))) succeeds(() => log[level](message))
}

/**
 * Logs what was thrown, and never throws. Where a serializer fails, an error that says the same is logged, then the error without
 * the other fields, and then its text alone.
 */
export function logThrown (log: FastifyBaseLogger, thrown: unknown, message: string, fields: object = {}, level: Level = 'error'): void {
  const { code, message: text } = describeThrown(thrown)
  const err = Object.assign(new Error(text), { code })
  for (const attempt of [{ ...fields, err: thrown }, { ...fields, err }, { err: thrown }, { err }]) {
    if (succeeds(() => log[level](attempt, message))) return
  }
  logLine(log, level, `${message}: ${text}`, fields)
}

/** A child logger, or the logger itself where a serializer of the app's fails at the fields. */
export function childOf (log: FastifyBaseLogger, fields: object): FastifyBaseLogger {
  try {
    return log.child(fields)
  } catch {
    return log
  }
}

/**
 * Lets go of what an error holds until its stack is read: the functions of the stack and their receivers, such as a timer, which has
 * the async context of a request. Its causes, too.
 */
export function releaseFrames (thrown: unknown): void {
  let error = thrown as { stack?: unknown, cause?: unknown }
  for (let depth = 0; typeof error === 'object' && error !== null && depth < 10; depth++) {
    if (!succeeds(() => { if (typeof error.stack === 'string') error = error.cause as typeof error })) return
  }
}

/** Calls the function, whatever comes of it. @returns `false` if it throws */
export function succeeds (attempt: () => void): boolean {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}

/** If the work is a promise that nobody follows, logs its failure. */
export function logRejectionOf (work: unknown, log: FastifyBaseLogger, message: string): void {
  // Of nothing else that has a `then`: some begin their work when it is called.
  if (types.isPromise(work)) succeeds(() => work.catch((error) => logThrown(log, error, message)))
}
