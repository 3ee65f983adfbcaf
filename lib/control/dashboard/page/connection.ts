import { RefusedError, UnexpectedReplyError, type Api } from './api'

/**
 * - `connecting`: for the first time
 * - `live`: what is shown is so
 * - `lost`: it was so; the page tries again by itself
 * - `denied`: the server does not want this user or this origin: trying again by itself would not help
 */
type Status =
  | { state: 'connecting' }
  | { state: 'live' }
  | { state: 'lost', why: string, retryAt: number }
  | { state: 'denied', title: string, why: string }

interface ConnectionListener {
  /** A line of the feed. */
  message (data: string): void
  /** The feed is open: time to ask for the list. Rejects if that fails. */
  opened (): Promise<void>
  /** The status is another. */
  changed (): void
}

const FIRST_RETRY = 500
const LAST_RETRY = 10_000

/** Keeps the feed open, and knows why when it is not. */
export class Connection {
  status: Status = { state: 'connecting' }
  #socket: WebSocket | undefined
  #retryAfter = FIRST_RETRY
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor (private readonly api: Api, private readonly feed: URL, private readonly listener: ConnectionListener) {}

  connect (): void {
    this.#socket?.close()
    const url = new URL(this.feed)
    // The list comes from the routes.
    url.searchParams.set('snapshots', 'false')
    url.protocol = url.protocol.replace('http', 'ws')
    const socket = this.#socket = new WebSocket(url)
    let opened = false
    socket.onopen = async () => {
      opened = true
      try {
        await this.listener.opened()
        if (this.#socket !== socket || socket.readyState !== WebSocket.OPEN) return
        this.#retryAfter = FIRST_RETRY
        this.#set({ state: 'live' })
      } catch (error) {
        if (this.#socket === socket) this.failed(error)
      }
    }
    socket.onmessage = ({ data }) => { if (this.#socket === socket) this.listener.message(data) }
    socket.onclose = () => { if (this.#socket === socket) this.#closed(opened) }
  }

  /** A request has failed in a way that tells of the connection. */
  failed (error: unknown): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
    const denied = denialOf(error)
    if (denied !== undefined) this.#set(denied)
    else this.#retry(explain(error))
  }

  async #closed (opened: boolean): Promise<void> {
    this.#socket = undefined
    if (this.status.state === 'live') this.#set({ state: 'lost', why: 'The connection was closed.', retryAt: Date.now() })
    let problem: unknown
    try {
      // A handshake that was refused does not say why: the routes do.
      await this.api.list({ limit: 1 })
      if (!opened) await this.api.checkOrigin()
    } catch (error) {
      problem = error
    }
    // The user has tried again meanwhile.
    if (this.#socket !== undefined) return
    if (problem !== undefined) this.failed(problem)
    else this.#retry(opened ? 'The connection was closed.' : 'The server answers, but its feed does not: does every proxy on the way let WebSockets through?')
  }

  #retry (why: string): void {
    this.#set({ state: 'lost', why, retryAt: Date.now() + this.#retryAfter })
    this.#timer = setTimeout(() => this.connect(), this.#retryAfter)
    this.#retryAfter = Math.min(this.#retryAfter * 2, LAST_RETRY)
  }

  #set (status: Status): void {
    clearTimeout(this.#timer)
    this.status = status
    this.listener.changed()
  }
}

function denialOf (error: unknown): Status | undefined {
  if (!(error instanceof RefusedError) || (error.status !== 401 && error.status !== 403)) return undefined
  if (error.code === 'FST_ERR_TASK_ORIGIN_NOT_ALLOWED') {
    return {
      state: 'denied',
      title: 'Origin not allowed',
      why: `The server does not know that it is reached as ${location.origin}: a proxy has changed the Host header. Pass the header on and set trustProxy of Fastify, or list the origin in allowedOrigins of the dashboard.`
    }
  }
  return {
    state: 'denied',
    title: 'Not authorised',
    why: error.status === 401 ? `The server asks who you are: ${error.message}. Sign in, then try again.` : `You may not see these tasks: ${error.message}.`
  }
}

/** What went wrong, for a person. */
export function explain (error: unknown): string {
  if (error instanceof RefusedError) return `The server refused: ${error.message}.`
  if (error instanceof UnexpectedReplyError) {
    return `${error.message}. A hook of the app may change its replies, or a proxy may answer in its place.`
  }
  return 'The server cannot be reached.'
}
