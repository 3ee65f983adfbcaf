import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Task, TaskEvents } from '../../types/task'
import { ACCESS_OPTIONS, checkAccess, addAuthHooks, rejectCrossOrigin, type AccessOptions } from './access'
import { FST_ERR_TASK_UPGRADE_REQUIRED, FST_ERR_TASK_MISSING_WEBSOCKET } from '../shared/errors'
import type { OptionChecks } from '../shared/option-checks'
import { feedMessageSchema, publicSnapshot } from './schemas'

interface FeedOptions extends AccessOptions {
  /** The origins, such as `https://ops.example.com`, whose pages may connect besides those of the app's own origin. */
  allowedOrigins?: string[]
  /** How many bytes may wait for a client that reads slowly before it is dropped. Default 1,048,576. */
  maxBuffer?: number
}

const FEED_CHECKS: OptionChecks = {
  onRequest: ACCESS_OPTIONS.onRequest,
  exposeErrors: ACCESS_OPTIONS.exposeErrors,
  allowedOrigins: ACCESS_OPTIONS.allowedOrigins,
  maxBuffer: ['a positive integer (bytes)', (value) => Number.isInteger(value) && value > 0]
}

const plugin: FastifyPluginAsync<FeedOptions> = async (app, options) => {
  checkAccess(app, 'fastify-tasks/feed', options, FEED_CHECKS)
  const { allowedOrigins, exposeErrors = false, maxBuffer = 2 ** 20 } = options
  await provideWebsocket(app)
  rejectCrossOrigin(app, allowedOrigins)
  addAuthHooks(app, options)

  /** The clients, and how many bytes may wait for each. */
  const clients = new Map<WebSocket, number>()

  const write = (event: string, task: Task): string => JSON.stringify({ event, task: publicSnapshot(task.toJSON(), exposeErrors) })

  function broadcast (event: string, task: Task): void {
    // Written once, and never waited for.
    const message = Buffer.from(write(event, task))
    for (const [socket, limit] of clients) {
      if (socket.bufferedAmount > limit) drop(socket)
      else socket.send(message, { binary: false })
    }
  }

  const listeners = (['start', 'progress', 'end'] as const).map(
    (event) => [event, (task: Task) => broadcast(event, task)] as [keyof TaskEvents, (task: Task) => void])

  function join (socket: WebSocket): void {
    for (const task of app.tasks) {
      if (task.endedAt === undefined) socket.send(write('snapshot', task))
    }
    // One listener for all clients, and none when there are none.
    if (clients.size === 0) for (const [event, listener] of listeners) app.tasks.on(event, listener)
    // What it begins with does not count against a client, however many tasks are live.
    clients.set(socket, socket.bufferedAmount + maxBuffer)
    socket.on('close', () => leave(socket))
  }

  function leave (socket: WebSocket): void {
    if (clients.delete(socket) && clients.size === 0) for (const [event, listener] of listeners) app.tasks.off(event, listener)
  }

  function drop (socket: WebSocket): void {
    leave(socket)
    socket.terminate()
  }

  app.route({
    method: 'GET',
    url: '/',
    schema: { hide: true } as object,
    handler: async (_request, reply) => {
      reply.header('upgrade', 'websocket')
      throw new FST_ERR_TASK_UPGRADE_REQUIRED()
    },
    wsHandler: join
  })

  // A handshake refused by a hook of a parent has not met the websocket plugin's own, which would hang up.
  app.addHook('onResponse', async (request) => { if (request.headers.upgrade !== undefined) request.raw.socket.destroy() })
  // A close that waited for every client's goodbye would wait for the stalled ones.
  app.addHook('preClose', async () => { for (const socket of clients.keys()) drop(socket) })
}

/** The servers whose upgrades go to a `@fastify/websocket` of ours. */
const served = new WeakSet<object>()

/** Registers `@fastify/websocket` unless the user has done so. */
async function provideWebsocket (app: FastifyInstance): Promise<void> {
  if (app.hasDecorator('websocketServer')) return
  // An upgrade that two of them listened for would be answered twice: the second feed of a server leaves it to the first.
  const server = served.has(app.server) ? { server: new EventEmitter() } : {}
  // A client has nothing to say.
  await app.register(loadWebsocket(), { options: { maxPayload: 1024, ...server } as object })
  if (!served.has(app.server)) app.server.on('upgrade', hangUpWhenAnswered)
  served.add(app.server)
}

/**
 * An upgrade that is answered as a request, by a 404 say, leaves a socket that nobody reads: its client's goodbye would go
 * unnoticed, and `app.close()` would wait for it for ever.
 */
function hangUpWhenAnswered (this: EventEmitter, _request: IncomingMessage, socket: Duplex): void {
  // The websocket plugin has assigned the response by now. A handshake that succeeds never finishes it.
  const { _httpMessage: response } = socket as Duplex & { _httpMessage?: ServerResponse }
  if (response !== undefined) response.once('finish', () => socket.destroy())
  // Closing the app, the plugin has left, and nobody else will answer.
  else if (this.listenerCount('upgrade') === 1) socket.destroy()
}

function loadWebsocket (): FastifyPluginAsync<{ options: object }> {
  try {
    return require('@fastify/websocket')
  } catch (cause) {
    throw new FST_ERR_TASK_MISSING_WEBSOCKET({ cause })
  }
}

interface TasksFeed extends FastifyPluginAsync<FeedOptions> {
  default: TasksFeed
  tasksFeed: TasksFeed
  /** The JSON schema of a message. */
  messageSchema: typeof feedMessageSchema
}

/** A WebSocket that tells of the live tasks, and then of everything that happens to tasks. */
const tasksFeed = fp(plugin, {
  fastify: '5.x', name: 'fastify-tasks-feed', dependencies: ['fastify-tasks'], encapsulate: true
}) as TasksFeed

// eslint-disable-next-line @typescript-eslint/no-redeclare -- types alone, for `import type { TasksFeedOptions } from …`
namespace tasksFeed {
  export type TasksFeedOptions = FeedOptions
}

// Written out so that Node finds the names when an ES module imports them.
module.exports = tasksFeed
module.exports.default = tasksFeed
module.exports.tasksFeed = tasksFeed
module.exports.messageSchema = feedMessageSchema

export = tasksFeed
