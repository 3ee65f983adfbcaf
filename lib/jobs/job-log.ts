import { format, inspect } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { Stored } from './serialization'

const KEPT = ['info', 'warn', 'error', 'fatal'] as const

/** A logger whose lines at `info` and above are kept with the job too, as many as its `keepLogs` says. */
export function keepingLogger (log: FastifyBaseLogger, job: Stored): FastifyBaseLogger {
  return new Proxy(log, {
    get (target, member: keyof FastifyBaseLogger) {
      const value = target[member] as unknown
      if (typeof value !== 'function') return value
      if (member === 'child') return (...args: unknown[]) => keepingLogger(value.apply(target, args), job)
      if (!KEPT.includes(member as never)) return value.bind(target)
      return (...args: unknown[]) => {
        value.apply(target, args)
        // The app's log has it in any case.
        job.log(`${member}: ${textOf(args)}`).catch(() => {})
      }
    }
  })
}

/** As pino has it: an object first, then a message and what is to be put in it. */
function textOf ([first, ...rest]: unknown[]): string {
  if (typeof first !== 'object' || first === null) return format(first, ...rest)
  const { message } = first as { message?: unknown }
  return [...rest.length > 0 ? [format(...rest)] : typeof message === 'string' ? [message] : [], ...first instanceof Error ? [] : [inspect(first, { breakLength: Infinity })]].join(' ')
}
