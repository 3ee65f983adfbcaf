import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { FST_ERR_TASK_NOT_FOUND } from '../shared/errors'
import { readProcess } from './bodies'
import { nameQuerySchema } from './schemas'

/** What a route that acts on a name does. */
export interface NameAction {
  method: 'GET' | 'DELETE' | 'POST'
  /** The part of the path after the name. */
  suffix: '' | '/heartbeat' | '/retry'
  schema: FastifySchema
  handle (name: string, process: string | undefined, reply: FastifyReply): Promise<FastifyReply>
}

type ByName = FastifyRequest<{ Params: { name?: string, '*'?: string }, Querystring: { name?: string } }>

const paramsSchema = { type: 'object', properties: { name: { type: 'string' } } }

/**
 * Each action for a name in the path or, because every URL parser takes `.` and `..` for folders, in the query: `/-?name=.`.
 * A hidden route takes names of more than 100 characters: the router refuses those as a parameter unless the user has raised its
 * `maxParamLength`, and takes them as a wildcard.
 */
export function addNameRoutes (app: FastifyInstance, actions: NameAction[]): void {
  for (const { method, suffix, schema, handle } of actions) {
    app.route({
      method,
      url: `/:name${suffix}`,
      schema: { ...schema, params: paramsSchema, querystring: nameQuerySchema },
      async handler (request, reply) {
        const { params, query, body } = request as ByName
        return handle(query.name ?? params.name!, readProcess(body, query), reply)
      }
    })
  }

  app.route({
    method: ['GET', 'DELETE', 'POST'],
    url: '/*',
    schema: { hide: true, querystring: nameQuerySchema } as object,
    async handler (request, reply) {
      const { method, params, query, body, raw } = request as ByName
      const rest = params['*']!
      // As it came, where a slash within the name is still escaped: 'x%2Fheartbeat' is a name and no heartbeat of 'x'.
      const path = raw.url!.split('?', 1)[0]
      const action = actions.find((action) => action.method === (method === 'HEAD' ? 'GET' : method) && path.endsWith(action.suffix))
      if (action === undefined) throw new FST_ERR_TASK_NOT_FOUND(rest)
      return action.handle(query.name ?? rest.slice(0, rest.length - action.suffix.length), readProcess(body, query), reply)
    }
  })
}
