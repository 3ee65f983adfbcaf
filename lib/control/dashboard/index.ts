import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { ACCESS_OPTIONS, checkAccess, addAuthHooks, rejectCrossOrigin, type AccessOptions } from '../access'
import tasksFeed from '../feed'
import tasksRoutes from '../routes'

interface DashboardOptions extends AccessOptions {
  /** The origins besides the app's own from which the page may be used, for a proxy that changes the host. */
  allowedOrigins?: string[]
}

const ASSETS = {
  'dashboard.css': 'text/css; charset=utf-8',
  'dashboard.js': 'text/javascript; charset=utf-8',
  'plot.js': 'text/javascript; charset=utf-8'
}

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
}

// From what @fastify/swagger tells of the app.
const HIDDEN = { schema: { hide: true } as object }

const asset = (name: string): string => readFileSync(join(__dirname, 'assets', name), 'utf8')

/** The page at the prefix, with its routes below `api` and its feed at `feed`. */
const plugin: FastifyPluginAsync<DashboardOptions> = async (app, options) => {
  const { onRequest, exposeErrors, allowedOrigins } = ACCESS_OPTIONS
  checkAccess(app, 'fastify-tasks/dashboard', options, { onRequest, exposeErrors, allowedOrigins })
  rejectCrossOrigin(app, options.allowedOrigins)
  addAuthHooks(app, options)

  const page = asset('page.html')
  app.get('/', HIDDEN, async (request, reply) => {
    reply.headers(HEADERS).type('text/html; charset=utf-8')
    // The page's links are relative, for a proxy may have moved it: without a slash at the end they begin a level higher.
    const path = request.url.split('?', 1)[0]
    const folder = path.slice(path.lastIndexOf('/') + 1).replace(/[^\w.~%-]/g, encodeURIComponent)
    return page.replaceAll('{{folder}}', () => folder === '' ? '' : `${folder}/`)
  })

  for (const [name, type] of Object.entries(ASSETS)) {
    const content = asset(name)
    app.get(`/${name}`, HIDDEN, async (_request, reply) => reply.headers(HEADERS).type(type).send(content))
  }

  // Who may enter has been asked by the hooks above.
  app.register(tasksRoutes, { prefix: '/api', onRequest: [], exposeErrors: options.exposeErrors })
  app.register(tasksFeed, { prefix: '/feed', onRequest: [], exposeErrors: options.exposeErrors, allowedOrigins: options.allowedOrigins })
}

interface TasksDashboard extends FastifyPluginAsync<DashboardOptions> {
  default: TasksDashboard
  tasksDashboard: TasksDashboard
}

/** A page that shows the tasks, live, and cancels them. */
const tasksDashboard = fp(plugin, {
  fastify: '5.x', name: 'fastify-tasks-dashboard', dependencies: ['fastify-tasks'], encapsulate: true
}) as TasksDashboard

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { TasksDashboardOptions } from …`
namespace tasksDashboard {
  export type TasksDashboardOptions = DashboardOptions
}

// Written out so that Node finds the names when an ES module imports them.
module.exports = tasksDashboard
module.exports.default = tasksDashboard
module.exports.tasksDashboard = tasksDashboard

export = tasksDashboard
