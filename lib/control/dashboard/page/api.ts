import { isSnapshot, type Counts, type Snapshot } from './model/snapshot'

/** How long a reply may take that waits for no task to stop, in ms. A server that hangs closes no connection. */
const REPLY_TIMEOUT = 15_000

/** The server refused. */
export class RefusedError extends Error {
  constructor (readonly status: number, message: string, readonly code?: string) {
    super(message)
  }
}

/** The server answered with something that the page does not understand, and must not show as if it were nothing. */
export class UnexpectedReplyError extends Error {}

export interface ProcessInfo {
  id: string
  pid: number
  hostname: string
  uptime?: number
  heapUsed?: number
  eventLoopDelay?: number
}

export interface Summary {
  counts?: Partial<Counts>
  process?: ProcessInfo
  queues?: Array<{ queue: string, paused: boolean, counts: Record<string, number> }>
  schedules?: Array<{ name: string, kind: string, queue?: string, pattern?: string, every?: number, tz?: string, next?: number }>
  /** All of them, when there are several. */
  processes?: ProcessInfo[]
}

interface ListPage {
  tasks: Snapshot[]
  next?: string
  summary?: Summary
  /** Processes that did not answer in time. */
  missing?: unknown[]
}

export interface ListQuery { limit?: number, after?: string, state?: string[], q?: string, group?: string, prefix?: string, name?: string, process?: string, summary?: boolean }

/** Which task is meant: its name, and its process when it is known. */
export type TaskRef = Pick<Snapshot, 'name' | 'process'>

export interface CancelFilter { group?: string, state?: string[], prefix?: string, q?: string, names?: string[], process?: string, reason?: string }

/** `missing`: processes that did not answer in time. */
interface CancelReply { cancelled: number, remaining: string[], missing?: unknown[] }

/** The routes below one path of the page. */
export class Api {
  /** By how many ms the clock of the server is ahead of this one. */
  ahead = 0
  readonly #base: URL

  constructor (base: URL) {
    this.#base = base
  }

  async list (query: ListQuery): Promise<ListPage> {
    const parameters = new URLSearchParams()
    for (const [key, value] of Object.entries(query)) {
      for (const each of [value].flat()) if (each !== undefined) parameters.append(key, String(each))
    }
    const body = await this.#request('GET', `?${parameters}`) as ListPage | undefined
    if (!Array.isArray(body?.tasks) || !body.tasks.every(isSnapshot)) throw new UnexpectedReplyError('The list of tasks has an unknown form')
    return body
  }

  async get (task: TaskRef): Promise<Snapshot> {
    return asSnapshot(await this.#request('GET', pathOf(task)))
  }

  /** @returns the task when the server has waited for its end: it may still be stopping */
  async cancel (task: TaskRef): Promise<Snapshot> {
    return asSnapshot(await this.#request('DELETE', pathOf(task)))
  }

  async cancelAll (filter: CancelFilter): Promise<CancelReply> {
    const reply = await this.#request('POST', 'cancel', filter) as CancelReply
    return { ...reply, remaining: Array.isArray(reply.remaining) ? reply.remaining : [] }
  }

  async heartbeat (task: TaskRef): Promise<void> {
    await this.#request('POST', pathOf(task, '/heartbeat'))
  }

  // --- of jobs alone ---

  /** @returns the job, which is pending again */
  async retry (job: TaskRef): Promise<Snapshot> {
    return asSnapshot(await this.#request('POST', pathOf(job, '/retry')))
  }

  async setPaused (queue: string, paused: boolean): Promise<void> {
    await this.#request('POST', paused ? 'pause' : 'resume', { queue })
  }

  async purge (): Promise<{ purged: number, missing?: unknown[] }> {
    return await this.#request('POST', 'purge') as { purged: number }
  }

  /**
   * Finds out whether the server takes this page's origin for a foreign one, which only a request that could change something shows.
   * An empty filter cancels nothing: it is refused with 400.
   */
  async checkOrigin (): Promise<void> {
    await this.#request('POST', 'cancel', {}).catch((error) => { if (!(error instanceof RefusedError) || error.status === 403) throw error })
  }

  async #request (method: string, path: string, body?: unknown): Promise<unknown> {
    const headers = { accept: 'application/json', ...body !== undefined && { 'content-type': 'application/json' } }
    // Not a literal in the call: the types of Node.js, which the tests have, know no `cache`.
    const signal = method === 'GET' ? AbortSignal.timeout(REPLY_TIMEOUT) : undefined
    const options = { method, cache: 'no-store' as const, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) }
    const response = await fetch(new URL(path, this.#base), options)
    this.#readClock(response)
    const text = await response.text()
    const parsed = parse(text)
    if (!response.ok) {
      const { message, code } = (parsed ?? {}) as { message?: string, code?: string }
      throw new RefusedError(response.status, message ?? `${response.status} ${response.statusText}`.trim(), code)
    }
    // A page to sign in, say.
    if (text !== '' && parsed === undefined) throw new UnexpectedReplyError('The reply is not JSON')
    return parsed
  }

  #readClock (response: Response): void {
    const date = Date.parse(response.headers.get('date') ?? '')
    // The header tells whole seconds alone.
    if (!Number.isNaN(date)) this.ahead = Math.abs(date - Date.now()) > 2_000 ? date - Date.now() : 0
  }
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function asSnapshot (value: unknown): Snapshot {
  if (!isSnapshot(value)) throw new UnexpectedReplyError('The reply is no task')
  return value
}

/** No URL holds half of a surrogate pair, and Node.js accepts 16 KiB of headers, of which the URL is a part. */
export const hasUrl = (name: string): boolean => name.isWellFormed() && encodeURIComponent(name).length < 10_000

function pathOf ({ name, process }: TaskRef, verb = ''): string {
  if (!hasUrl(name)) throw new RefusedError(400, 'No URL can hold this name: only cancelling it is possible here')
  const query = new URLSearchParams()
  if (process !== undefined) query.set('process', process.id)
  // Every URL parser takes these for folders.
  const isFolder = name === '.' || name === '..'
  if (isFolder) query.set('name', name)
  return `${isFolder ? '-' : encodeURIComponent(name)}${verb}?${query}`
}
