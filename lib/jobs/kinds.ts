import type { FastifyInstance } from 'fastify'
import type { JobDefinition, JobHandler } from '../../types/job'
import { FST_ERR_JOB_DEFINED_TOO_LATE, FST_ERR_JOB_KIND_ALREADY_DEFINED } from '../shared/errors'
import { checkDefinition, DEFAULT_QUEUE } from './options'
import { validatorFor } from './validator'

/** A kind of job, as `defineJob` took it. */
export interface Kind {
  app: FastifyInstance
  handler: JobHandler
  options: JobDefinition & { queue: string }
  /** Throws what is wrong with the data. */
  validate?: (data: unknown) => void
}

/** The kinds that this process has defined. */
export class Kinds {
  readonly #kinds = new Map<string, Kind>()
  #sealed = false

  /** @throws FST_ERR_JOB_INVALID_ARGUMENT, FST_ERR_JOB_INVALID_OPTION, FST_ERR_JOB_DEFINED_TOO_LATE, FST_ERR_JOB_KIND_ALREADY_DEFINED */
  define (app: FastifyInstance, name: string, handler: JobHandler, definition?: JobDefinition): void {
    const options = { queue: DEFAULT_QUEUE, ...checkDefinition(name, handler, definition) }
    if (this.#sealed) throw new FST_ERR_JOB_DEFINED_TOO_LATE(name)
    if (this.#kinds.has(name)) throw new FST_ERR_JOB_KIND_ALREADY_DEFINED(name)
    this.#kinds.set(name, { app, handler, options })
  }

  get (name: string): Kind | undefined {
    return this.#kinds.get(name)
  }

  /** The kinds of a queue. */
  namesOf (queue: string): string[] {
    return [...this.#kinds].filter(([, { options }]) => options.queue === queue).map(([name]) => name)
  }

  get names (): string[] {
    return [...this.#kinds.keys()]
  }

  /** The queues that have kinds here. */
  get queues (): Set<string> {
    return new Set(Array.from(this.#kinds.values(), ({ options }) => options.queue))
  }

  /** The options of the kinds of a queue. */
  of (queue: string): JobDefinition[] {
    return Array.from(this.#kinds.values(), ({ options }) => options).filter((options) => options.queue === queue)
  }

  /** No kind is defined any more, and the schemas of those that are become validators. */
  async seal (): Promise<void> {
    this.#sealed = true
    for (const [name, kind] of this.#kinds) {
      const { schema } = kind.options
      if (schema !== undefined) kind.validate = await validatorFor(kind.app, name, schema)
    }
  }
}
