import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

type UpgradedSocket = Duplex & { _httpMessage?: ServerResponse | null, encrypted?: boolean, server?: EventEmitter }
/** Node 22.21 and 24.9 let a server choose which upgrades it takes. */
type ChoosingServer = Server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean }

const servers = new WeakMap<object, Upgrades>()

/**
 * The upgrades of a server that has a feed. Node hands every `Upgrade` of every client to the listeners of 'upgrade' once there
 * is one, detaches the connection from its parser, and forgets it. So this
 *
 * - serves other upgrades than those to WebSockets as requests, as Node does without a listener
 * - leaves what another listener has taken, or may take, alone
 * - closes the connection of a handshake that was answered as a request, and those that are unanswered when the app closes
 */
export class Upgrades {
  /** What `@fastify/websocket` listens to instead of the server. */
  readonly websockets = new EventEmitter()
  readonly #server: ChoosingServer
  readonly #feeds: RegExp[] = []
  readonly #sockets = new Set<UpgradedSocket>()

  /** One for each server. */
  static of (server: Server): Upgrades {
    let upgrades = servers.get(server)
    if (upgrades === undefined) servers.set(server, upgrades = new Upgrades(server))
    return upgrades
  }

  private constructor (server: ChoosingServer) {
    this.#server = server
    server.on('upgrade', (request: IncomingMessage, socket: UpgradedSocket, head: Buffer) => this.#onUpgrade(request, socket, head))
    const choose = server.shouldUpgradeCallback
    if (choose === undefined) return
    server.shouldUpgradeCallback = (request) => choose.call(server, request) && (isWebSocket(request) || this.#isShared)
  }

  /** Where a feed is: its handshakes are taken even when others listen for upgrades. */
  addFeed (path: string): void {
    const pattern = path.replace(/\/+$/, '').split(/:[^/]+|\*/).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('[^/]+')
    this.#feeds.push(new RegExp(`^${pattern}/?(?:\\?|$)`))
  }

  /** Closes what is still waiting for an answer: Node does not know these connections, and `app.close()` would wait for them. */
  hangUp (): void {
    for (const socket of this.#sockets) {
      if (!isTaken(socket)) socket.destroy()
    }
  }

  /** Whether others listen for upgrades too. */
  get #isShared (): boolean {
    return this.#server.listenerCount('upgrade') > 1
  }

  #onUpgrade (request: IncomingMessage, socket: UpgradedSocket, head: Buffer): void {
    // After the other listeners, whatever their order.
    if (isWebSocket(request)) process.nextTick(() => this.#handshake(request, socket, head))
    else if (!this.#isShared) serveAsRequest(this.#server, request, socket, head)
  }

  #handshake (request: IncomingMessage, socket: UpgradedSocket, head: Buffer): void {
    if (!hasResponse(socket)) {
      if (isTaken(socket)) return
      if (this.#isShared && !this.#feeds.some((feed) => feed.test(request.url!))) return
      this.websockets.emit('upgrade', request, socket, head)
      // The app is closing: nothing answers.
      if (!hasResponse(socket)) {
        socket.destroy()
        return
      }
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // Answered as a request, by a 404 say. A handshake that succeeds never finishes this response.
    const response = socket._httpMessage!
    if (response.writableFinished) socket.destroy()
    else response.once('finish', () => socket.destroy())
  }
}

function isWebSocket ({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** Whether `@fastify/websocket`, ours or the caller's, has sent the request through Fastify. */
function hasResponse ({ _httpMessage: response }: UpgradedSocket): boolean {
  return response !== undefined && response !== null
}

/** Whether the socket is read by somebody, or has ended. */
function isTaken (socket: UpgradedSocket): boolean {
  return socket.destroyed || socket.writableEnded || socket.listenerCount('data') > 0 || socket.listenerCount('readable') > 0
}

/**
 * Hands a request back to the server that was taken for an upgrade, for Node to parse it once more, with its body and what
 * follows on the connection. Its `Connection` header no longer says `upgrade`.
 */
function serveAsRequest (server: EventEmitter, request: IncomingMessage, socket: UpgradedSocket, head: Buffer): void {
  // Node has begun to read its body.
  if (!request.complete) {
    socket.destroy()
    return
  }
  // A request before it on the same connection is still being answered.
  if (hasResponse(socket)) {
    const again = (): void => serveAsRequest(server, request, socket, head)
    socket._httpMessage!.once('close', () => setImmediate(again))
    return
  }
  if (socket.destroyed) return
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const [name, value] = request.rawHeaders.slice(i, i + 2)
    lines.push(`${name}: ${name.toLowerCase() === 'connection' ? withoutUpgrade(value) : value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  const owner = socket.server ?? server
  owner.emit(socket.encrypted === true ? 'secureConnection' : 'connection', socket)
}

function withoutUpgrade (connection: string): string {
  return connection.split(',').filter((option) => option.trim().toLowerCase() !== 'upgrade').join(',')
}
