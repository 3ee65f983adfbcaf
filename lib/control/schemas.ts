import type { FastifySchema } from 'fastify'
import type { TaskSnapshot, TaskState } from '../../types/task'

/** JSON schemas of what leaves the process. Without ids, so that a plugin may be registered twice. */

export const STATES: TaskState[] = ['pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled']

const time = (description: string) => ({ type: 'integer', description: `${description}, in ms since the epoch` })

export const snapshotSchema = {
  type: 'object',
  required: ['name', 'state', 'createdAt'],
  properties: {
    name: { type: 'string' },
    state: { type: 'string', enum: STATES },
    createdAt: time('When it was added'),
    startedAt: time('When it started'),
    endedAt: time('When it ended'),
    progress: {
      description: 'How far it has come: from 0 to 100, or an object of its own',
      anyOf: [{ type: 'number', minimum: 0, maximum: 100 }, { type: 'object', additionalProperties: true }]
    },
    lease: {
      type: 'object',
      description: 'It is cancelled unless a heartbeat comes within the ttl; both in ms',
      required: ['ttl'],
      properties: { ttl: { type: 'integer' }, remaining: { type: 'integer' } }
    },
    error: {
      type: 'object',
      description: 'Why it failed or was cancelled',
      properties: { code: { type: 'string' }, message: { type: 'string' } }
    }
  }
} as const

export const jobSnapshotSchema = {
  ...snapshotSchema,
  required: [...snapshotSchema.required, 'kind', 'attempts'],
  properties: { ...snapshotSchema.properties, kind: { type: 'string' }, attempts: { type: 'integer' } }
} as const

/** One message of the feed. */
export const feedMessageSchema = {
  type: 'object',
  required: ['event', 'task'],
  properties: {
    event: {
      type: 'string',
      enum: ['snapshot', 'start', 'progress', 'end'],
      description: 'snapshot: a task that was live when the client connected; else what has happened to the task'
    },
    task: snapshotSchema
  }
} as const

export const errorSchema = (description: string) => ({
  description,
  type: 'object',
  required: ['statusCode', 'error', 'message'],
  properties: {
    statusCode: { type: 'integer' },
    code: { type: 'string' },
    error: { type: 'string' },
    message: { type: 'string' }
  },
  additionalProperties: true
})

/** A route's schema with what `@fastify/swagger` adds to Fastify's. */
export const documented = (schema: FastifySchema & { summary: string, hide?: boolean }): FastifySchema => schema

/** A snapshot as it may leave the process: the message of its error only if that was opted for. */
export function publicSnapshot<S extends Pick<TaskSnapshot, 'error'>> (snapshot: S, exposeErrors: boolean): S {
  const { error } = snapshot
  return exposeErrors || error === undefined ? snapshot : { ...snapshot, error: { code: error.code } }
}
