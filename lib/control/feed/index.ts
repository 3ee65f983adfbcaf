import type { WebSocket } from '@fastify/websocket'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ACCESS_OPTIONS, checkAccess, addAuthHooks, rejectCrossOrigin } from '../access'
import type { AccessOptions, Served } from '../access-options'
import { requireBackend } from '../backend'
import { feedQuerySchema } from '../schemas'
import { feedMessageSchema } from '../snapshot-schema'
import { FST_ERR_TASK_UPGRADE_REQUIRED } from '../../shared/errors'
import { integer, oneOf, type OptionChecks } from '../../shared/option-checks'
import { defaultValidatorCompiler } from '../../shared/validator-compiler'
import { logThrown } from '../../shared/thrown'
import { Broadcast, type FeedQuery } from './broadcast'
import { provideWebsocket } from './websocket'

interface FeedOptions extends AccessOptions {
  /** What the feed reports: the tasks (the default), or the jobs of the fleet. */
  serve?: Served
  /** The origins, such as `https://ops.example.com`, whose pages may connect besides those of the app's own origin. */
  allowedOrigins?: string[]
  /** How many bytes may wait for a client before it is dropped, besides the message that is being sent. Default 1,048,576. */
  maxBuffer?: number
  /** How long a client may read nothing of what waits for it before it is dropped, in ms. Default 10,000. */
  stallTimeout?: number
}

const FEED_CHECKS: OptionChecks = {
  onRequest: ACCESS_OPTIONS.onRequest,
  exposeErrors: ACCESS_OPTIONS.exposeErrors,
  allowedOrigins: ACCESS_OPTIONS.allowedOrigins,
  serve: oneOf('tasks', 'jobs'),
  maxBuffer: ['a positive integer (bytes)', (value) => Number.isInteger(value) && value > 0],
  stallTimeout: integer(1, undefined, ' (ms)')
}

const plugin: FastifyPluginAsync<FeedOptions> = async (app, options) => {
  checkAccess(app, 'fastify-tasks/feed', options, FEED_CHECKS)
  const { allowedOrigins, exposeErrors = false, maxBuffer = 2 ** 20, serve = 'tasks', stallTimeout = 10_000 } = options
  const backend = requireBackend(app, serve, exposeErrors)
  const upgrades = await provideWebsocket(app)
  const broadcast = new Broadcast(backend, { exposeErrors, maxBuffer, stallTimeout })
  rejectCrossOrigin(app, allowedOrigins)
  addAuthHooks(app, options)
  // The app may have replaced the compiler, for Zod for example.
  app.setValidatorCompiler(await defaultValidatorCompiler())

  function join (socket: WebSocket, request: FastifyRequest): void {
    // Other parameters of the URL, such as a token, are not part of the filter.
    const { group, prefix, process, snapshots } = request.query as FeedQuery
    // Where one process is served, snapshots do not name it.
    const other = process === backend.processId ? undefined : process
    const leave = broadcast.join(socket, { group, prefix, process: other, snapshots }, (reason, error) => {
      logThrown(request.log, error, 'A client of the feed was dropped', { reason }, 'info')
    })
    socket.on('close', leave)
  }

  app.route({
    method: 'GET',
    url: '/',
    schema: { hide: true, querystring: feedQuerySchema } as object,
    async handler (request, reply) {
      // HTTP/2 does not allow this header: Node would throw.
      if (request.raw.httpVersionMajor < 2) reply.header('upgrade', 'websocket')
      throw new FST_ERR_TASK_UPGRADE_REQUIRED()
    },
    wsHandler: join
  })

  upgrades.addFeed(app.prefix)
  // Terminates instead of closing: stalled clients never answer the closing handshake.
  app.addHook('preClose', async () => {
    broadcast.close()
    upgrades.hangUp()
  })
}

/** A WebSocket that sends the live tasks, and then everything that happens to tasks. */
const tasksFeed = fp(plugin, {
  fastify: '5.x', name: 'fastify-tasks-feed', dependencies: ['fastify-tasks'], encapsulate: true
}) as tasksFeed.TasksFeed

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { TasksFeedOptions } from …`
namespace tasksFeed {
  export interface TasksFeed extends FastifyPluginAsync<FeedOptions> {
    default: TasksFeed
    tasksFeed: TasksFeed
    /** The JSON schema of a message. */
    messageSchema: Readonly<Record<string, any>>
  }

  export type TasksFeedOptions = FeedOptions
}

// Explicit assignments, so that cjs-module-lexer detects the named exports for `import`.
module.exports = tasksFeed
module.exports.default = tasksFeed
module.exports.tasksFeed = tasksFeed
module.exports.messageSchema = feedMessageSchema

export = tasksFeed
