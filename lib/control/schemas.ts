import type { FastifySchema } from 'fastify'
import { STATES, type Snapshot } from '../shared/control-backend'
import { integer, list, processSchema, string, time } from './snapshot-schema'

const filters = {
  group: { type: 'string', description: 'Only tasks of this group' },
  prefix: { type: 'string', description: 'Only tasks whose name begins with this' },
  process: { type: 'string', description: 'Only tasks of the process with this id' }
} as const

export const feedQuerySchema = {
  type: 'object',
  properties: { ...filters, snapshots: { type: 'boolean', default: true, description: 'Whether the live tasks are sent on connect' } }
} as const

export const processQuerySchema = { type: 'object', properties: { process: filters.process } } as const

/** Of the routes with a name in their path. */
export const nameQuerySchema = {
  type: 'object',
  properties: {
    ...processQuerySchema.properties,
    name: { type: 'string', description: 'The name, in place of that in the path: for names that no path can hold, such as `.`' }
  }
} as const

export const listQuerySchema = {
  type: 'object',
  properties: {
    state: { ...list({ type: 'string', enum: STATES }), description: 'Only tasks in one of these states' },
    limit: { type: 'integer', minimum: 1, maximum: 1_000, default: 100, description: 'The most tasks in the page' },
    after: { type: 'string', description: 'The `next` of the page before' },
    ...filters,
    q: { type: 'string', description: 'Only tasks whose name contains this, in upper or lower case' },
    name: { ...list(string), description: 'Only tasks of these names' },
    summary: { type: 'boolean', description: 'Whether to add a summary of all tasks' }
  }
} as const

const countsSchema = {
  type: 'object',
  description: 'The number of tasks in each state',
  properties: Object.fromEntries(STATES.map((state) => [state, integer]))
}

const numbersSchema = {
  type: 'object',
  description: 'The process that answers: `uptime` and `eventLoopDelay` in ms, `heapUsed` in bytes',
  properties: { ...processSchema.properties, uptime: integer, heapUsed: integer, eventLoopDelay: { type: 'number' } }
}

const missingSchema = { ...list(string), description: 'The ids of processes that have not answered in time' }

const summarySchema = {
  type: 'object',
  description: 'With `summary=true`',
  required: ['counts', 'groups', 'process'],
  properties: {
    counts: countsSchema,
    groups: list({ type: 'object', properties: { group: string, counts: countsSchema } }),
    process: numbersSchema,
    processes: list(numbersSchema),
    queues: list({ type: 'object', properties: { queue: string, paused: { type: 'boolean' }, counts: { type: 'object', additionalProperties: integer } } }),
    schedules: list({
      type: 'object',
      properties: { name: string, kind: string, queue: string, pattern: string, every: integer, tz: string, next: time('The next run') }
    })
  }
}

export const pageSchema = (snapshot: object) => ({
  description: 'A page: of tasks the newest first; of jobs the running, then the pending, then the ended ones',
  type: 'object',
  required: ['tasks'],
  properties: {
    tasks: list(snapshot),
    next: { type: 'string', description: 'The `after` of the next page; absent on the last page' },
    summary: summarySchema,
    missing: missingSchema
  }
})

export const cancelBodySchema = {
  type: 'object',
  description: 'Which live tasks to cancel: those that match every member. At least one of group, state, prefix, q and names is required',
  additionalProperties: false,
  properties: {
    group: { ...filters.group, minLength: 1 },
    state: { ...list({ type: 'string', enum: STATES }), minItems: 1, maxItems: STATES.length, description: 'Only tasks in one of these states; a single state may be a string' },
    prefix: { ...filters.prefix, minLength: 1 },
    q: { ...listQuerySchema.properties.q, minLength: 1, maxLength: 1_000 },
    names: { ...list(string), minItems: 1, maxItems: 1_000, description: 'Only tasks of these names' },
    process: { ...filters.process, minLength: 1 },
    reason: { type: 'string', minLength: 1, maxLength: 1_000, description: 'The reason that the tasks are given' }
  }
}

export const cancelledSchema = {
  description: 'The tasks that were live and matched',
  type: 'object',
  required: ['cancelled', 'remaining'],
  properties: {
    cancelled: { type: 'integer', description: 'The number of tasks that have stopped' },
    remaining: { ...list(string), description: 'The names of the tasks that are still stopping after `cancelTimeout`' },
    missing: missingSchema
  }
}

export const purgedSchema = {
  description: 'The number of tasks removed',
  type: 'object',
  required: ['purged'],
  properties: { purged: integer, missing: missingSchema }
}

export const queueBodySchema = {
  type: 'object', additionalProperties: false, properties: { queue: { type: 'string', minLength: 1, description: 'The name of the queue; without it, all queues' } }
}

export const addBodySchema = {
  type: 'object',
  required: ['kind'],
  additionalProperties: false,
  properties: {
    kind: { type: 'string', minLength: 1, maxLength: 1_000 },
    data: {},
    name: { type: 'string', minLength: 1, maxLength: 1_000 },
    ttl: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 }
  }
}

export const errorSchema = (description: string) => ({
  description,
  type: 'object',
  required: ['statusCode', 'error', 'message'],
  properties: { statusCode: integer, code: string, error: string, message: string },
  additionalProperties: true
})

/** Types a route's schema, with what `@fastify/swagger` adds to Fastify's. */
export const routeSchema = (schema: FastifySchema & { summary: string, hide?: boolean }): FastifySchema => schema

/** A snapshot as it may leave the process: the text of its error and of its reason only with `exposeErrors`. */
export function publicSnapshot<S extends Pick<Snapshot, 'error'> & { reason?: { code?: string } }> (snapshot: S, exposeErrors: boolean): S {
  const { error, reason } = snapshot
  if (exposeErrors || (error === undefined && reason === undefined)) return snapshot
  return { ...snapshot, error: error && { code: error.code }, reason: reason && { code: reason.code } }
}
