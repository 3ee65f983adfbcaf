import type { FastifyInstance } from 'fastify'
import type { ControlBackend, Snapshot } from '../shared/control-backend'
import { readAddBody, readQueueBody } from './bodies'
import { describedOnly, send } from './json'
import type { NameAction } from './name-routes'
import * as schemas from './schemas'
import { errorSchema, routeSchema } from './schemas'
import { jobSnapshotSchema } from './snapshot-schema'

// What the routes have for jobs alone.

type ToPublic = (snapshot: Snapshot) => Snapshot

export const retryAction = (retry: NonNullable<ControlBackend['retry']>, toPublic: ToPublic): NameAction => ({
  method: 'POST',
  suffix: '/retry',
  schema: routeSchema({
    summary: 'Run a failed job again',
    response: {
      202: { description: 'The job is pending again', ...jobSnapshotSchema },
      404: errorSchema('The job was not found'),
      409: errorSchema('The job has not failed, or its name belongs to a live job')
    }
  }),
  handle: async (name, _process, reply) => send(reply, toPublic(await retry(name)), 202)
})

export function addAddRoute (app: FastifyInstance, add: NonNullable<ControlBackend['add']>, toPublic: ToPublic): void {
  app.post('/', {
    schema: routeSchema({
      summary: 'Add a job',
      body: schemas.addBodySchema,
      response: {
        202: {
          description: 'Stored',
          headers: { Location: { type: 'string', description: 'Where the job is shown' } },
          ...jobSnapshotSchema
        },
        400: errorSchema('Unknown job kind, data that does not match its schema, or a member that is unknown or has a wrong value'),
        409: errorSchema('The name belongs to a live job'),
        503: errorSchema('The job store is unavailable')
      }
    }),
    ...describedOnly
  }, async (request, reply) => {
    const { kind, data, name, ttl } = readAddBody(request.body)
    const job = await add(kind, data, { name, ttl })
    const here = request.url.split('?', 1)[0].replace(/\/?$/, '/')
    // Every URL parser takes these names for folders.
    reply.header('location', here + (/^\.\.?$/.test(job.name) ? `-?name=${job.name}` : encodeURIComponent(job.name)))
    return send(reply, toPublic(job), 202)
  })
}

export function addQueueRoutes (app: FastifyInstance, backend: ControlBackend): void {
  for (const verb of ['pause', 'resume'] as const) {
    app.post(`/${verb}`, {
      schema: routeSchema({
        summary: verb === 'pause' ? 'Pause a queue: no process starts jobs of it' : 'Resume a paused queue',
        body: schemas.queueBodySchema,
        response: { 204: { description: 'Done', type: 'null' }, 404: errorSchema('The queue was not found') }
      }),
      ...describedOnly
    }, async (request, reply) => {
      await backend[verb]!(readQueueBody(request.body).queue)
      return reply.code(204).send()
    })
  }
}
