import { EVENTS, STATES } from '../shared/control-backend'

// JSON schemas of what leaves the process. Without ids, so that a plugin may be registered twice, and of the forms that
// Swagger 2 and OpenAPI 3 have in common.

export const string = { type: 'string' } as const
export const integer = { type: 'integer' } as const
export const time = (description: string) => ({ type: 'integer', description: `${description}, in ms since the epoch` })
export const list = <T>(items: T) => ({ type: 'array', items }) as const

export const processSchema = {
  type: 'object',
  description: 'The process that has the task, where several are served',
  required: ['id', 'pid', 'hostname'],
  properties: { id: string, pid: integer, hostname: string }
} as const

export const snapshotSchema = {
  type: 'object',
  required: ['name', 'state', 'createdAt'],
  properties: {
    name: string,
    group: string,
    state: { type: 'string', enum: STATES },
    createdAt: time('When it was added'),
    startedAt: time('When it started'),
    endedAt: time('When it ended'),
    // Of no type: a number or an object. Swagger 2 has no `anyOf`.
    progress: { description: 'Progress: a number from 0 to 100, or an application-defined object' },
    lease: {
      type: 'object',
      description: 'The task is cancelled if no heartbeat arrives within `ttl` ms; `remaining` is the time left in ms',
      required: ['ttl'],
      properties: { ttl: integer, remaining: integer }
    },
    reason: {
      type: 'object',
      description: 'The reason of its cancel; the message is sent only with `exposeErrors`',
      properties: { code: string, message: string }
    },
    error: {
      type: 'object',
      description: 'The error of a failed or cancelled task; message and stack are sent only with `exposeErrors`',
      properties: { code: string, message: string, stack: string }
    },
    process: processSchema
  }
} as const

export const jobSnapshotSchema = {
  ...snapshotSchema,
  required: [...snapshotSchema.required, 'kind', 'attempts'],
  properties: { ...snapshotSchema.properties, id: string, kind: string, queue: string, attempts: integer }
} as const

/** One message of the feed. */
export const feedMessageSchema = {
  type: 'object',
  required: ['event'],
  properties: {
    event: {
      type: 'string',
      enum: ['snapshot', ...EVENTS, 'gone'],
      description: '`snapshot`: a live task, on connect and when its process comes into reach. `gone`: the tasks of `process` are out of reach. Otherwise the event that occurred'
    },
    task: {
      ...snapshotSchema,
      properties: {
        ...snapshotSchema.properties,
        progress: {
          ...snapshotSchema.properties.progress,
          anyOf: [{ type: 'number', minimum: 0, maximum: 100 }, { type: 'object', additionalProperties: true }]
        }
      }
    },
    process: processSchema
  },
  if: { properties: { event: { const: 'gone' } } },
  then: { required: ['process'] },
  else: { required: ['task'] }
} as const
