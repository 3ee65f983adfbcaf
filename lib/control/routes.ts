import type { FastifyError, FastifyInstance, FastifyPluginAsync, FastifyRequest, RouteOptions as FastifyRoute } from 'fastify'
import fp from 'fastify-plugin'
import type { TaskState } from '../../types/task'
import { ACCESS_OPTIONS, checkAccess, addAuthHooks, type AccessOptions } from './access'
import { controlBackendOf, kJobsControlBackend, kTasksControlBackend, type ControlBackend, type Snapshot } from '../shared/control-backend'
import { FST_ERR_TASK_MISSING_JOBS, FST_ERR_TASK_NOT_FOUND } from '../shared/errors'
import type { OptionChecks } from '../shared/option-checks'
import { STATES, documented, errorSchema, jobSnapshotSchema, publicSnapshot, snapshotSchema } from './schemas'
import { defaultValidatorCompiler } from '../shared/validator-compiler'

interface RoutesOptions extends AccessOptions {
  /** What the routes list, show and cancel: the tasks of this process (the default), or the jobs of the fleet. */
  serve?: 'tasks' | 'jobs'
}

const ROUTES_CHECKS: OptionChecks = {
  onRequest: ACCESS_OPTIONS.onRequest,
  exposeErrors: ACCESS_OPTIONS.exposeErrors,
  serve: ["'tasks' or 'jobs'", (value) => value === 'tasks' || value === 'jobs']
}

const HEARTBEAT = '/heartbeat'

type ByName = FastifyRequest<{ Params: { name?: string, '*'?: string } }>

const plugin: FastifyPluginAsync<RoutesOptions> = async (app, options) => {
  checkAccess(app, 'fastify-tasks/routes', options, ROUTES_CHECKS)
  const { exposeErrors = false, serve = 'tasks' } = options
  const backend = requireBackend(app, serve)
  const schema = serve === 'tasks' ? snapshotSchema : jobSnapshotSchema
  const toPublic = (snapshot: Snapshot): Snapshot => publicSnapshot(snapshot, exposeErrors)
  addAuthHooks(app, options)
  acceptEmptyBodies(app)
  // The app's own compilers may read schemas of another kind.
  app.setValidatorCompiler(await defaultValidatorCompiler())
  app.setSerializerCompiler(() => serialize)

  app.get<{ Querystring: { state?: TaskState } }>('/', {
    schema: documented({
      summary: `Lists the ${serve}`,
      querystring: { type: 'object', properties: { state: { type: 'string', enum: STATES } } },
      response: {
        200: { description: `The ${serve}`, type: 'object', required: ['tasks'], properties: { tasks: { type: 'array', items: schema } } },
        400: errorSchema('There is no such state')
      }
    })
  }, async (request) => {
    const { state } = request.query
    return { tasks: (await backend.list({ limit: 1_000, states: state && [state] })).tasks.map(toPublic) }
  })

  app.post('/purge', {
    schema: documented({
      summary: `Forgets the ${serve} that have ended`,
      response: { 200: { description: 'How many it were', type: 'object', required: ['purged'], properties: { purged: { type: 'integer' } } } }
    })
  }, async () => backend.purge())

  byName(app, {
    method: 'GET',
    url: '/:name',
    schema: documented({
      summary: 'Shows one, live or ended',
      response: { 200: { description: 'How it is', ...schema }, 404: errorSchema('Unknown') }
    }),
    handler: async (request) => toPublic(await backend.get(nameOf(request as ByName)))
  })

  byName(app, {
    method: 'DELETE',
    url: '/:name',
    schema: documented({
      summary: 'Cancels one and waits until it has stopped',
      response: {
        200: { description: 'It has stopped', ...schema },
        202: { description: 'It was told to stop and has not done so yet', ...schema },
        404: errorSchema('Unknown'),
        409: errorSchema('It had ended before')
      }
    }),
    async handler (request, reply) {
      const snapshot = await backend.cancel(nameOf(request as ByName))
      reply.code(snapshot.state === 'cancelling' ? 202 : 200)
      return toPublic(snapshot)
    }
  })

  byName(app, {
    method: 'POST',
    url: '/:name/heartbeat',
    schema: documented({
      summary: 'Renews a lease',
      response: {
        204: { description: 'Renewed', type: 'null' },
        404: errorSchema('Unknown'),
        409: errorSchema('It is no longer live, or has no lease')
      }
    }),
    async handler (request, reply) {
      await backend.heartbeat(nameOf(request as ByName))
      return reply.code(204).send()
    }
  })

  if (backend.add !== undefined) addRoute(app, backend.add, toPublic)
}

function requireBackend (app: FastifyInstance, serve: 'tasks' | 'jobs'): ControlBackend {
  const backend = controlBackendOf(app, serve === 'tasks' ? kTasksControlBackend : kJobsControlBackend)
  if (backend === undefined) throw new FST_ERR_TASK_MISSING_JOBS()
  return backend
}

/** Answers with what was sent: the schemas describe it, but an app's own error handler may have another body. */
function serialize (body: unknown): string {
  if (!(body instanceof Error)) return JSON.stringify(body)
  const { statusCode, code, error, message } = body as FastifyError & { error: string }
  return JSON.stringify({ statusCode, code, error, message })
}

/** No route but `POST /` needs a body, so an empty one of type JSON is none. */
function acceptEmptyBodies (app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null)
    else parseJson(request, body, done)
  })
}

/**
 * A route for a name, and a hidden one beside it for names of more than 100 characters: the router refuses those as a
 * parameter unless the user has raised its `maxParamLength`, and takes them as a wildcard.
 */
function byName (app: FastifyInstance, route: FastifyRoute): void {
  app.route({
    ...route,
    schema: { ...route.schema, params: { type: 'object', properties: { name: { type: 'string' } } } }
  })
  app.route({ ...route, url: '/*', schema: { ...route.schema, hide: true } as FastifyRoute['schema'] })
}

function nameOf ({ params, method, raw }: ByName): string {
  if (params.name !== undefined) return params.name
  const rest = params['*']!
  if (method !== 'POST') return rest
  // As it came, where a slash within the name is still escaped: 'x%2Fheartbeat' is a name and no heartbeat of 'x'.
  if (!raw.url!.split('?', 1)[0].endsWith(HEARTBEAT)) throw new FST_ERR_TASK_NOT_FOUND(rest)
  return rest.slice(0, -HEARTBEAT.length)
}

function addRoute (app: FastifyInstance, add: NonNullable<ControlBackend['add']>, toPublic: (snapshot: Snapshot) => Snapshot): void {
  app.post<{ Body: { kind: string, data?: unknown, name?: string, ttl?: number } }>('/', {
    schema: documented({
      summary: 'Adds a job',
      body: {
        type: 'object',
        required: ['kind'],
        additionalProperties: false,
        properties: { kind: { type: 'string', minLength: 1 }, data: {}, name: { type: 'string', minLength: 1 }, ttl: { type: 'integer', minimum: 1, maximum: 2_147_483_647 } }
      },
      response: {
        202: {
          description: 'Stored',
          headers: { Location: { type: 'string', description: 'Where the job is shown' } },
          ...jobSnapshotSchema
        },
        400: errorSchema('The kind is unknown, or the data does not fit it'),
        409: errorSchema('The name belongs to a live job'),
        503: errorSchema('The engine is away')
      }
    })
  }, async (request, reply) => {
    const { kind, data, name, ttl } = request.body
    const job = await add(kind, data, { name, ttl })
    const here = request.url.split('?', 1)[0].replace(/\/?$/, '/')
    reply.code(202).header('location', here + encodeURIComponent(job.name))
    return toPublic(job)
  })
}

interface TasksRoutes extends FastifyPluginAsync<RoutesOptions> {
  default: TasksRoutes
  tasksRoutes: TasksRoutes
}

/** Routes to list, show, cancel and renew tasks, and to forget the ended. */
const tasksRoutes = fp(plugin, {
  fastify: '5.x', name: 'fastify-tasks-routes', dependencies: ['fastify-tasks'], encapsulate: true
}) as TasksRoutes

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { TasksRoutesOptions } from …`
namespace tasksRoutes {
  export type TasksRoutesOptions = RoutesOptions
}

// Written out so that Node finds the names when an ES module imports them.
module.exports = tasksRoutes
module.exports.default = tasksRoutes
module.exports.tasksRoutes = tasksRoutes

export = tasksRoutes
