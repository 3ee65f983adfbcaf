import { timers } from '../shared/timers'

/** Of Node's own, or whatever else was handed to the server with its event. */
interface Connection {
  readonly bytesRead?: number
  readonly bytesWritten?: number
  readonly writableLength: number
  readonly _handle?: { readonly writeQueueSize?: number } | null
}

/** Finds the clients that the app waits for and that have neither sent nor taken a byte for too long. */
export class Stalls {
  readonly #progress = new WeakMap<Connection, { bytes: string, since: number }>()

  /** @param limit in ms */
  constructor (private readonly limit: number) {}

  /** To be asked again and again. `isAwaited`: nothing goes on until the client does. */
  has (connection: Connection, { isAwaited }: { isAwaited: boolean }): boolean {
    const { bytesRead, bytesWritten, writableLength, _handle } = connection
    // One large write is done in many steps, which the queue of the handle alone shows.
    const bytes = isAwaited ? `${bytesRead} ${bytesWritten} ${writableLength} ${_handle?.writeQueueSize}` : ''
    const now = timers.now()
    const last = this.#progress.get(connection)
    if (isAwaited && last?.bytes === bytes) return now - last.since >= this.limit
    this.#progress.set(connection, { bytes, since: now })
    return false
  }
}
