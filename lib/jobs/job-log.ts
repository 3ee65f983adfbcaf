import { format, inspect } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { Stored } from './serialization'

const KEPT = ['info', 'warn', 'error', 'fatal'] as const

/** Keeps what a job logs at `info` and above with the job too, as many of the latest lines as its `keepLogs` says. */
export class JobLog {
  readonly #job: Stored
  readonly #waiting: string[] = []
  #written = Promise.resolve()

  constructor (job: Stored) {
    this.#job = job
  }

  /** Resolves when the lines so far are stored, or could not be: the app's log has them in any case. */
  get written (): Promise<void> {
    return this.#written
  }

  /** The same logger, whose lines are kept. */
  keep (log: FastifyBaseLogger): FastifyBaseLogger {
    return new Proxy(log, {
      get: (target, member: keyof FastifyBaseLogger) => {
        const value = target[member] as unknown
        if (typeof value !== 'function') return value
        if (member === 'child') return (...args: unknown[]) => this.keep(value.apply(target, args))
        if (!KEPT.includes(member as never)) return value.bind(target)
        return (...args: unknown[]) => {
          value.apply(target, args)
          this.#add(`${member}: ${textOf(args)}`)
        }
      }
    })
  }

  /** One after the other: PostgreSQL loses lines that come at once, and does not keep their order. */
  #add (line: string): void {
    // The store would not keep the oldest either.
    if (this.#waiting.push(line) > this.#job.opts.keepLogs!) this.#waiting.shift()
    else this.#written = this.#written.then(() => this.#job.log(this.#waiting.shift()!)).then(ignore, ignore)
  }
}

function ignore (): void {}

/** As pino has it: an object first, then a message and what is to be put in it. */
function textOf ([first, ...rest]: unknown[]): string {
  if (typeof first !== 'object' || first === null) return format(first, ...rest)
  const { message } = first as { message?: unknown }
  return [...rest.length > 0 ? [format(...rest)] : typeof message === 'string' ? [message] : [], ...first instanceof Error ? [] : [inspect(first, { breakLength: Infinity })]].join(' ')
}
