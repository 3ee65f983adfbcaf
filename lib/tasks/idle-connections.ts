import type { EventEmitter } from 'node:events'
import type { Http2Session } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Server as TlsServer, type TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { timers } from '../shared/timers'

/** In ms: what becomes idle while the app closes holds it up for so long. */
const INTERVAL = 50

/** Of Node's own, or whatever else was handed to the server with its event. */
type HttpSocket = Duplex & { parser?: object | null, _httpMessage?: object | null }

/** The connections of one server, and which of them carry nothing. */
class Connections {
  readonly #sockets = new Set<HttpSocket>()
  readonly #handshakes = new Set<Socket>()
  readonly #sessions = new Set<Http2Session>()

  constructor (private readonly server: Server) {
    const isTls = server instanceof TlsServer
    server.on('connection', (socket: Socket) => keep(isTls ? this.#handshakes : this.#sockets, socket))
    server.on('secureConnection', (socket: TLSSocket & { _parent?: Socket }) => {
      this.#handshakes.delete(socket._parent!)
      keep(this.#sockets, socket)
    })
    server.on('session', (session: Http2Session) => keep(this.#sessions, session))
  }

  /** After {@link endIdle}: a handshake is destroyed by then, and a session has a socket. */
  get isDone (): boolean {
    return !this.server.listening && this.#sockets.size === 0
  }

  /** Once the server has stopped to listen. */
  endIdle (): void {
    if (this.server.listening) return
    for (const socket of this.#handshakes) socket.destroy()
    // Those that were upgraded have no parser any more.
    for (const socket of this.#sockets) {
      if (!socket.parser || socket._httpMessage) continue
      this.#sockets.delete(socket)
      // What is written is sent before.
      socket.end(() => socket.destroy())
    }
    // Its streams go on.
    for (const session of this.#sessions) session.close()
  }
}

function keep<T extends EventEmitter> (open: Set<T>, connection: T): void {
  // A server may be handed a connection again: an upgrade that is served as a request.
  if (open.has(connection)) return
  open.add(connection)
  connection.once('close', () => open.delete(connection))
}

/**
 * While the app closes, ends the connections that carry no request, once their server has stopped to listen. Node itself closes only
 * those that were idle at that moment: not one whose request is answered later, which is kept for `keepAliveTimeout`, nor, before
 * Node 26.4, one on which no request has come; no session of HTTP/2 and no handshake of TLS either.
 */
export class IdleConnections {
  readonly #servers = new Map<Server, Connections>()

  /** From now on, for the servers that the app has now. */
  watch (app: FastifyInstance): void {
    for (const server of serversOf(app)) if (!this.#servers.has(server)) this.#servers.set(server, new Connections(server))
  }

  /** Closing has begun. Looks again until all connections are closed: hooks may keep the server listening, and requests be in flight. */
  close (): void {
    const servers = [...this.#servers.values()]
    const timer = timers.setInterval(endIdle, INTERVAL).unref()
    function endIdle (): void {
      for (const connections of servers) connections.endIdle()
      if (servers.every(({ isDone }) => isDone)) timers.clearInterval(timer)
    }
    timers.setImmediate(endIdle, undefined)
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
