import type { FastifyBaseLogger } from 'fastify'

/** What was thrown may be anything, a value whose getters throw included: none of these throws in its turn. */

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
 * Logs what was thrown. A logger may look into it with serializers of the user's, made for errors: where they fail, an error that
 * says the same is logged, and then its text alone.
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
