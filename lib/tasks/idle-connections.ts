import diagnostics from 'node:diagnostics_channel'
import type { ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

interface Finished {
  response: ServerResponse
  socket: Socket & { _httpMessage?: ServerResponse | null }
  server: Server
}

/**
 * From now on, connections that become idle after their server has stopped to listen are closed. Node closes those that are idle
 * when the server closes; one whose request is answered later is kept for `keepAliveTimeout`, and holds up the close.
 *
 * Each is closed when its own response is finished. `server.closeIdleConnections()` would also cut off those whose response has
 * been written and not yet read.
 */
export function closeIdleConnections (app: FastifyInstance): void {
  const servers = new Set<Server>(serversOf(app))
  const channel = diagnostics.channel('http.server.response.finish')

  function onFinish (message: unknown): void {
    const { response, socket, server } = message as Finished
    if (!servers.has(server)) return
    response.once('close', () => {
      // The connection may be serving its next request, whose response then closes it.
      if (!server.listening && !socket._httpMessage) socket.destroySoon()
    })
  }

  channel.subscribe(onFinish)
  for (const server of servers) {
    server.once('close', () => {
      servers.delete(server)
      if (servers.size === 0) channel.unsubscribe(onFinish)
    })
  }
}

/** For `localhost`, Fastify listens with a server for each address. Only the first is public. */
function serversOf (app: FastifyInstance): Server[] {
  const bindings = symbolsOf(app).filter(({ description }) => description === 'fastify.serverBindings')
  return [app.server, ...bindings.flatMap((symbol) => app[symbol as never] as Server[])]
}

function symbolsOf (object: object | null): symbol[] {
  return object === null ? [] : [...Object.getOwnPropertySymbols(object), ...symbolsOf(Object.getPrototypeOf(object))]
}
