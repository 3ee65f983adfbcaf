import type { FastifyBaseLogger } from 'fastify'

/** Anything can be thrown, including a value whose getters throw: none of these functions throws. */

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

/**
 * Logs what was thrown. The app's log serializers expect errors: if they fail, an error with the same text is logged, and if that
 * fails too, the text alone.
 */
export function logThrown (log: FastifyBaseLogger, thrown: unknown, message: string, fields: object = {}): void {
  const { code, message: text } = describeThrown(thrown)
  const attempts = [
    () => log.error({ ...fields, err: thrown }, message),
    () => log.error({ ...fields, err: Object.assign(new Error(text), { code }) }, message),
    () => log.error(fields, `${message}: ${text}`)
  ]
  for (const attempt of attempts) if (succeeds(attempt)) return
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
  if (work instanceof Promise) succeeds(() => work.catch((error) => logThrown(log, error, message)))
}
