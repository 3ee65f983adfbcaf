import type { Snapshot } from '../../shared/control-backend'
import type { ProcessIdentity } from '../../../types/process'
import { CHUNK, type FeedClient } from './client'
import { endsMessage, sizeOf, type Message } from './frames'

/** Which events a client wants. */
export interface FeedFilter {
  group?: string
  prefix?: string
  process?: string
}

/** With more bytes of events than these, all are sent: clients that read too slowly are dropped rather than events kept. */
const MAX_KEPT = 32 * 2 ** 20

/** Clients with the same filter, and the events for them that were not sent yet: one copy for all. */
export class Channel {
  readonly #clients = new Set<FeedClient>()
  /** Clients that came while events waited, and the number of the first event that came after them. */
  readonly #newcomers = new Map<FeedClient, number>()
  #events: Message[] = []
  /** The number of the first of the events. */
  #first = 0
  #size = 0

  constructor (readonly filter: FeedFilter) {}

  add (client: FeedClient): void {
    if (this.hasEvents) this.#newcomers.set(client, this.#first + this.#events.length)
    else this.#clients.add(client)
  }

  delete (client: FeedClient): void {
    this.#clients.delete(client)
    this.#newcomers.delete(client)
  }

  get isEmpty (): boolean {
    return this.#clients.size + this.#newcomers.size === 0
  }

  get hasEvents (): boolean {
    return this.#events.length > 0
  }

  matches (snapshot: Snapshot): boolean {
    const { group, prefix } = this.filter
    return (group === undefined || snapshot.group === group) &&
      (prefix === undefined || snapshot.name.startsWith(prefix)) && this.matchesProcess(snapshot.process)
  }

  matchesProcess (process: ProcessIdentity | undefined): boolean {
    return this.filter.process === undefined || this.filter.process === process?.id
  }

  push (message: Message): void {
    this.#events.push(message)
    this.#size += sizeOf(message)
  }

  /**
   * Sends about so many bytes of the events, at least one of them.
   * @returns the clients that have too much waiting for them
   */
  distribute (portion: number): FeedClient[] {
    if (!this.hasEvents) return []
    const most = this.#size > MAX_KEPT ? this.#size : portion
    let [count, size] = [0, 0]
    while (count < this.#events.length && size < most) size += sizeOf(this.#events[count++])
    const messages = this.#events.slice(0, count)
    this.#events = this.#events.slice(count)
    this.#first += count
    this.#size -= size
    const frames = join(messages.flat())
    const overflowing = [...this.#clients].filter((client) => !client.send(frames))
    for (const [client, first] of this.#newcomers) {
      if (first > this.#first) continue
      this.#newcomers.delete(client)
      this.#clients.add(client)
      if (!client.send(messages.slice(count - (this.#first - first)).flat())) overflowing.push(client)
    }
    return overflowing
  }
}

/** Joins short messages, so that they need not be joined for each client. Parts of a long one stay as they are. */
function join (frames: Buffer[]): Buffer[] {
  const joined: Buffer[] = []
  let [start, size] = [0, 0]
  const flush = (end: number): void => {
    if (end > start) joined.push(Buffer.concat(frames.slice(start, end), size))
    start = end
    size = 0
  }
  let wasWhole = true
  frames.forEach((frame, index) => {
    const isWhole = wasWhole && endsMessage(frame)
    if (!isWhole || size + frame.length > CHUNK) flush(index)
    size += frame.length
    if (!isWhole) flush(index + 1)
    wasWhole = endsMessage(frame)
  })
  flush(frames.length)
  return joined
}
