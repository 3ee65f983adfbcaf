import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { TaskState } from '../../types/task'
import type { ControlBackend, ControlFilter, Snapshot } from '../shared/control-backend'
import { oneOf, type OptionChecks } from '../shared/option-checks'
import { defaultValidatorCompiler } from '../shared/validator-compiler'
import { ACCESS_OPTIONS, checkAccess, addAuthHooks } from './access'
import type { AccessOptions, Served } from './access-options'
import { requireBackend } from './backend'
import { readCancelBody, readProcess } from './bodies'
import { addAddRoute, addQueueRoutes, retryAction } from './job-routes'
import { acceptEmptyBodies, describedOnly, send, serialize } from './json'
import { addNameRoutes, type NameAction } from './name-routes'
import * as schemas from './schemas'
import { errorSchema, routeSchema } from './schemas'
import { jobSnapshotSchema, snapshotSchema } from './snapshot-schema'

interface RoutesOptions extends AccessOptions {
  /** What the routes list, show and cancel: the tasks (the default), or the jobs of the fleet. */
  serve?: Served
}

const ROUTES_CHECKS: OptionChecks = {
  onRequest: ACCESS_OPTIONS.onRequest,
  exposeErrors: ACCESS_OPTIONS.exposeErrors,
  serve: oneOf('tasks', 'jobs')
}

interface ListQuery extends Pick<ControlFilter, 'group' | 'prefix' | 'q' | 'process'> {
  limit: number
  after?: string
  state?: TaskState[]
  name?: string[]
  summary?: boolean
}

const plugin: FastifyPluginAsync<RoutesOptions> = async (app, options) => {
  checkAccess(app, 'fastify-tasks/routes', options, ROUTES_CHECKS)
  const { exposeErrors = false, serve = 'tasks' } = options
  const backend = requireBackend(app, serve, exposeErrors)
  const toPublic = (snapshot: Snapshot): Snapshot => schemas.publicSnapshot(snapshot, exposeErrors)
  addAuthHooks(app, options)
  acceptEmptyBodies(app)
  // The app may have replaced the compilers, for Zod for example.
  app.setValidatorCompiler(await defaultValidatorCompiler())
  app.setSerializerCompiler(() => serialize)

  const one = serve === 'tasks' ? 'task' : 'job'
  const schema = serve === 'tasks' ? snapshotSchema : jobSnapshotSchema
  const unknown = {
    404: errorSchema(`The ${one} was not found`),
    ...backend.spansProcesses === true && { 503: errorSchema(`The ${one} was not found, and the processes in \`missing\` have not answered in time`) }
  }

  addList(app, backend, { summary: `List the ${serve}`, schema, toPublic })
  addBulkActions(app, backend, serve)
  const actions: NameAction[] = [
    {
      method: 'GET',
      suffix: '',
      schema: routeSchema({
        summary: `Get a ${one} by name`,
        response: { 200: { description: `The ${one}, live or ended`, ...schema }, ...unknown }
      }),
      handle: async (name, process, reply) => send(reply, toPublic(await backend.get(name, process)))
    },
    {
      method: 'DELETE',
      suffix: '',
      schema: routeSchema({
        summary: `Cancel a ${one} and wait for it to stop`,
        response: {
          200: { description: `The ${one} has stopped`, ...schema },
          202: { description: `Cancellation was requested; the ${one} is still stopping`, ...schema },
          ...unknown,
          409: errorSchema(`The ${one} has already ended`)
        }
      }),
      async handle (name, process, reply) {
        const snapshot = await backend.cancel(name, process)
        return send(reply, toPublic(snapshot), snapshot.state === 'cancelling' ? 202 : 200)
      }
    },
    {
      method: 'POST',
      suffix: '/heartbeat',
      schema: routeSchema({
        summary: `Renew the lease of a ${one}`,
        response: {
          204: { description: 'Renewed', type: 'null' },
          ...unknown,
          409: errorSchema(`The ${one} is no longer live, or has no lease`)
        }
      }),
      async handle (name, process, reply) {
        await backend.heartbeat(name, process)
        return reply.code(204).send()
      }
    }
  ]
  if (backend.retry !== undefined) actions.push(retryAction(backend.retry, toPublic))
  addNameRoutes(app, actions)
  if (backend.add !== undefined) addAddRoute(app, backend.add, toPublic)
  if (backend.pause !== undefined) addQueueRoutes(app, backend)
}

function addList (app: FastifyInstance, backend: ControlBackend, { summary, schema, toPublic }: {
  summary: string, schema: object, toPublic: (snapshot: Snapshot) => Snapshot
}): void {
  app.get<{ Querystring: ListQuery }>('/', {
    schema: routeSchema({
      summary,
      querystring: schemas.listQuerySchema,
      response: { 200: schemas.pageSchema(schema), 400: errorSchema('A parameter has a wrong value') }
    }),
    // Both `?state=running,failed` and `?state=running&state=failed` are accepted: tools write either.
    async preValidation ({ query }) {
      if (query.state !== undefined) query.state = [query.state].flat().flatMap((state) => String(state).split(',')) as TaskState[]
    }
  }, async ({ query }, reply) => {
    // Other parameters of the URL, such as a token, are not part of the filter.
    const { limit, after, group, prefix, q, process, state: states, name: names, summary: isSummary } = query
    // At once: each of them may wait for other processes.
    const [{ tasks, next, missing }, summary] = await Promise.all([
      backend.list({ limit, after, group, prefix, q, process, states, names }),
      isSummary === true ? backend.summary() : undefined
    ])
    return send(reply, { tasks: tasks.map(toPublic), next, missing: missing ?? summary?.missing, summary })
  })
}

function addBulkActions (app: FastifyInstance, backend: ControlBackend, serve: Served): void {
  app.post('/cancel', {
    schema: routeSchema({
      summary: `Cancel all live ${serve} that match, and wait for them to stop`,
      body: schemas.cancelBodySchema,
      querystring: schemas.processQuerySchema,
      response: { 200: schemas.cancelledSchema, 400: errorSchema('The filter is empty, or a member is unknown or has a wrong value') }
    }),
    ...describedOnly
  }, async (request, reply) => {
    const { filter, reason } = readCancelBody(request.body, request.query)
    return send(reply, await backend.cancelAll(filter, reason))
  })

  app.post('/purge', {
    schema: routeSchema({
      summary: `Remove the ${serve} that have ended`,
      querystring: schemas.processQuerySchema,
      response: { 200: schemas.purgedSchema }
    })
  }, async (request, reply) => send(reply, await backend.purge(readProcess(request.body, request.query))))
}

/** Routes to list, show, cancel and renew tasks, and to remove the ended. */
const tasksRoutes = fp(plugin, {
  fastify: '5.x', name: 'fastify-tasks-routes', dependencies: ['fastify-tasks'], encapsulate: true
}) as tasksRoutes.TasksRoutes

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { TasksRoutesOptions } from …`
namespace tasksRoutes {
  export interface TasksRoutes extends FastifyPluginAsync<RoutesOptions> {
    default: TasksRoutes
    tasksRoutes: TasksRoutes
  }

  export type TasksRoutesOptions = RoutesOptions
}

// Explicit assignments, so that cjs-module-lexer detects the named exports for `import`.
module.exports = tasksRoutes
module.exports.default = tasksRoutes
module.exports.tasksRoutes = tasksRoutes

export = tasksRoutes
