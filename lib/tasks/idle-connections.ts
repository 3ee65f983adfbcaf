import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { Server as TlsServer, type TLSSocket } from 'node:tls'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { logLine } from '../shared/thrown'
import { timers } from '../shared/timers'
import { Stalls } from './stalls'

/** In ms: what becomes idle while the app closes holds it up for so long. */
const INTERVAL = 50

/** Of Node's own, or whatever else was handed to the server with its event. */
type HttpSocket = Duplex & { parser?: object | null, _httpMessage?: { req: IncomingMessage } | null }

interface ConnectionsOptions {
  /** How long a client may hold up a close that neither sends the rest of its request nor takes its reply, in ms. */
  closeTimeout: number
  log: FastifyBaseLogger
}

/** The connections of one server, and which of them carry nothing, or nothing any more. */
class Connections {
  readonly #sockets = new Set<HttpSocket>()
  readonly #handshakes = new Set<Socket>()
  readonly #sessions = new Set<Http2Session>()
  readonly #streams = new Set<ServerHttp2Stream>()
  readonly #stalls: Stalls

  constructor (private readonly server: Server, private readonly options: ConnectionsOptions) {
    this.#stalls = new Stalls(options.closeTimeout)
    const isTls = server instanceof TlsServer
    server.on('connection', (socket: Socket) => keep(isTls ? this.#handshakes : this.#sockets, socket))
    server.on('secureConnection', (socket: TLSSocket & { _parent?: Socket }) => {
      this.#handshakes.delete(socket._parent!)
      keep(this.#sockets, socket)
    })
    server.on('session', (session: Http2Session) => keep(this.#sessions, session))
    server.on('stream', (stream: ServerHttp2Stream) => keep(this.#streams, stream))
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
      if (!socket.parser) continue
      if (socket._httpMessage) {
        const { req } = socket._httpMessage
        this.#cutIfStalled(socket, socket, socket.writableLength > 0 || (isRead(req) && !req.complete))
        continue
      }
      this.#sockets.delete(socket)
      // What is written is sent before.
      socket.end(() => socket.destroy())
    }
    const awaited = new Set(Array.from(this.#streams).filter(isAwaited).map(({ session }) => session))
    for (const session of this.#sessions) {
      // Its streams go on.
      session.close()
      // One that is destroyed has no socket.
      if (!session.destroyed) this.#cutIfStalled(session, session.socket, awaited.has(session))
    }
  }

  #cutIfStalled (connection: { destroy (): unknown }, socket: Duplex, isAwaited: boolean): void {
    if (!this.#stalls.has(socket, { isAwaited })) return
    logLine(this.options.log, 'warn', 'A client that held up app.close() was cut off: it neither sent the rest of its request nor took its reply')
    connection.destroy()
  }
}

/** Whether the app reads it now. */
function isRead ({ readableFlowing }: Readable): boolean {
  return readableFlowing === true
}

/** Whether its client has not taken what was written, or has not sent all of what is read. */
function isAwaited (stream: ServerHttp2Stream): boolean {
  return stream.writableLength > 0 || (isRead(stream) && stream.state.state === constants.NGHTTP2_STREAM_STATE_OPEN)
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
 * Node 26.4, one on which no request has come; no session of HTTP/2 and no handshake of TLS either. Of those that carry a request it
 * ends the ones whose clients have stalled.
 */
export class IdleConnections {
  readonly #servers = new Map<Server, Connections>()

  constructor (private readonly options: ConnectionsOptions) {}

  /** From now on, for the servers that the app has now. */
  watch (app: FastifyInstance): void {
    for (const server of serversOf(app)) if (!this.#servers.has(server)) this.#servers.set(server, new Connections(server, this.options))
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
