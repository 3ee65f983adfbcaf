import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { ACCESS_OPTIONS, checkAccess, addAuthHooks, rejectCrossOrigin } from '../access'
import type { AccessOptions, Served } from '../access-options'
import tasksFeed from '../feed'
import tasksRoutes from '../routes'
import type { OptionCheck } from '../../shared/option-checks'
import { html, script, style } from './assets'
import { File } from './file'

interface DashboardOptions extends AccessOptions {
  /** What the page shows: the tasks (the default), the jobs of the fleet, or both, each in a tab of its own. */
  serve?: Served | Served[]
  /** The origins besides the app's own from which the page may be used, for a proxy that changes the host. */
  allowedOrigins?: string[]
}

const ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#3756e0"/>' +
  '<path d="M4 5h8M4 8h5M4 11h7" stroke="#fff" stroke-width="1.6" stroke-linecap="round"/></svg>'

const ASSETS: Record<string, File> = {
  'dashboard.css': new File('text/css; charset=utf-8', style),
  'dashboard.js': new File('text/javascript; charset=utf-8', script),
  'icon.svg': new File('image/svg+xml', ICON)
}

// From @fastify/swagger.
const HIDDEN = { schema: { hide: true } as object }

const SERVE: OptionCheck = ["'tasks', 'jobs' or ['tasks', 'jobs']",
  (value) => isServed(value) || (Array.isArray(value) && value.length > 0 && [...value].every(isServed))]

function isServed (value: unknown): boolean {
  return value === 'tasks' || value === 'jobs'
}

/** The page at the prefix, with its routes below `api` and its feed at `feed`; those of jobs below `jobs-api` and at `jobs-feed`. */
const plugin: FastifyPluginAsync<DashboardOptions> = async (app, options) => {
  const { onRequest, exposeErrors, allowedOrigins } = ACCESS_OPTIONS
  checkAccess(app, 'fastify-tasks/dashboard', options, { onRequest, exposeErrors, allowedOrigins, serve: SERVE })
  const served = [...new Set([options.serve ?? 'tasks'].flat())]
  // Before every route of the dashboard: those below it inherit both.
  rejectCrossOrigin(app, options.allowedOrigins)
  addAuthHooks(app, options)

  const page = html.replace('{{serve}}', served.join(' '))
  app.get('/', HIDDEN, async (request, reply) => {
    // The page's links are relative, for a proxy may have moved it: without a slash at the end they begin a level higher.
    const path = request.url.split('?', 1)[0]
    const folder = path.slice(path.lastIndexOf('/') + 1).replace(/[^\w.~%-]/g, encodeURIComponent)
    const content = page.replaceAll('{{folder}}', () => folder === '' ? '' : `${folder}/`)
    return new File('text/html; charset=utf-8', content).send(request, reply)
  })

  for (const [name, file] of Object.entries(ASSETS)) app.get(`/${name}`, HIDDEN, async (request, reply) => file.send(request, reply))

  for (const serve of served) serveData(app, serve, options)
}

/** The routes and the feed that the page uses. */
function serveData (app: FastifyInstance, serve: Served, { exposeErrors, allowedOrigins }: DashboardOptions): void {
  const path = serve === 'tasks' ? '/' : '/jobs-'
  // The hooks of the page have authenticated the request.
  const options = { onRequest: [], exposeErrors, serve }
  app.register(tasksRoutes, { ...options, prefix: `${path}api` })
  app.register(tasksFeed, { ...options, prefix: `${path}feed`, allowedOrigins })
}

/** A page that shows the tasks, live, and cancels them. */
const tasksDashboard = fp(plugin, {
  fastify: '5.x', name: 'fastify-tasks-dashboard', dependencies: ['fastify-tasks'], encapsulate: true
}) as tasksDashboard.TasksDashboard

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { TasksDashboardOptions } from …`
namespace tasksDashboard {
  export interface TasksDashboard extends FastifyPluginAsync<DashboardOptions> {
    default: TasksDashboard
    tasksDashboard: TasksDashboard
  }

  export type TasksDashboardOptions = DashboardOptions
}

// Explicit assignments, so that cjs-module-lexer detects the named exports for `import`.
module.exports = tasksDashboard
module.exports.default = tasksDashboard
module.exports.tasksDashboard = tasksDashboard

export = tasksDashboard
