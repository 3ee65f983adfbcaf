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

export function logThrown (log: FastifyBaseLogger, thrown: unknown, message: string): void {
  try {
    log.error({ err: thrown }, message)
  } catch { // The logger looked into it.
    log.error({ err: describeThrown(thrown) }, message)
  }
}
