import type { WebSocket } from '@fastify/websocket'
import type { ControlBackend, ControlEvent, LiveEntry } from '../../shared/control-backend'
import type { ProcessIdentity } from '../../../types/process'
import { publicSnapshot } from '../schemas'
import { Channel, type FeedFilter } from './channel'
import { CHUNK, FeedClient, type OnDrop } from './client'
import { encodeMessage, sizeOf } from './frames'
import { SnapshotCache } from './snapshot-cache'
import { SnapshotWalk } from './snapshot-walk'

export interface BroadcastOptions {
  exposeErrors: boolean
  /** In bytes. */
  maxBuffer: number
  /** In ms. */
  stallTimeout: number
}

export interface FeedQuery extends FeedFilter {
  /** Whether the client is sent what is live first. Default `true`; a client that reads the list from the routes does not need it. */
  snapshots?: boolean
}

// After each turn the feed pauses for a multiple of what it took: most of the event loop's time is the app's. In ms.
const PAUSE_FACTOR = 4
const MAX_PAUSE = 100
/** Of a turn, for the first snapshots, in ms. */
const TURN = 5
/** What a client is sent of the events in a turn, in bytes, so that a burst of them reaches those who read. */
const PORTION = 256 * 1024
const PING_INTERVAL = 30_000
// Of the clock that looks after the clients, in ms. It counts ticks: a blocked event loop counts as one, so that no client is dropped for it.
const MAX_TICK = 5_000
const TICKS_PER_STALL = 4

/** Sends the events of a backend to its clients, each encoded once, and to each client first what is live. */
export class Broadcast {
  readonly #backend: ControlBackend
  readonly #options: BroadcastOptions
  readonly #clients = new Set<FeedClient>()
  /** By filter. */
  readonly #channels = new Map<string, Channel>()
  /** Clients that have not got all the first snapshots; the one served last comes last. */
  readonly #walking = new Set<FeedClient>()
  readonly #snapshots: SnapshotCache
  #turn: NodeJS.Timeout | undefined
  #pausedUntil = 0
  #clock: NodeJS.Timeout | undefined
  #ticks = 0
  #unsubscribe: (() => void) | undefined
  #isClosed = false

  constructor (backend: ControlBackend, options: BroadcastOptions) {
    this.#backend = backend
    this.#options = options
    this.#snapshots = new SnapshotCache(options.exposeErrors)
  }

  // --- clients ---

  /** @returns a function that removes the client */
  join (socket: WebSocket, { snapshots = true, ...filter }: FeedQuery, onDrop: OnDrop): () => void {
    // Its handshake was under way when the app began to close.
    if (this.#isClosed) {
      socket.terminate()
      return () => {}
    }
    if (this.#clients.size === 0) this.#start()
    const channel = this.#channelOf(filter)
    const client = new FeedClient(socket, channel, { maxBuffer: this.#options.maxBuffer, onRoom: () => this.#schedule(), onDrop })
    channel.add(client)
    this.#clients.add(client)
    if (snapshots) this.#startWalk(client)
    return () => this.#leave(client)
  }

  close (): void {
    this.#isClosed = true
    for (const client of this.#clients) {
      this.#leave(client)
      client.terminate()
    }
  }

  #channelOf (filter: FeedFilter): Channel {
    const key = keyOf(filter)
    let channel = this.#channels.get(key)
    if (channel === undefined) this.#channels.set(key, channel = new Channel(filter))
    return channel
  }

  #leave (client: FeedClient): void {
    if (!this.#clients.delete(client)) return
    client.walk?.end()
    this.#walking.delete(client)
    const { channel } = client
    channel.delete(client)
    if (channel.isEmpty) this.#channels.delete(keyOf(channel.filter))
    if (this.#clients.size === 0) this.#stop()
  }

  #drop (client: FeedClient, ...why: Parameters<OnDrop>): void {
    this.#leave(client)
    client.drop(...why)
  }

  // --- the clock ---

  #start (): void {
    this.#unsubscribe = this.#backend.subscribe((event, entry) => this.#onEvent(event, entry), (process) => this.#onGone(process))
    const interval = Math.min(MAX_TICK, Math.ceil(this.#options.stallTimeout / TICKS_PER_STALL))
    const ticksPerStall = Math.ceil(this.#options.stallTimeout / interval)
    const ticksPerPing = Math.ceil(PING_INTERVAL / interval)
    this.#ticks = 0
    this.#clock = setInterval(() => {
      this.#dropStalled(ticksPerStall)
      if (++this.#ticks % ticksPerPing === 0) this.#ping()
    }, interval)
  }

  #stop (): void {
    this.#unsubscribe!()
    clearInterval(this.#clock)
    clearTimeout(this.#turn)
    this.#turn = undefined
    this.#snapshots.clear()
  }

  #dropStalled (ticks: number): void {
    for (const client of [...this.#clients]) {
      if (client.isWaitedFor && ++client.ticksStalled > ticks) this.#drop(client, 'stallTimeout')
    }
  }

  #ping (): void {
    for (const client of [...this.#clients]) {
      // Behind what it has not read yet, a ping would come late.
      if (client.isWaitedFor) continue
      if (client.isAlive) client.ping()
      else this.#drop(client, 'ping')
    }
  }

  // --- events ---

  #onEvent (event: ControlEvent, entry: LiveEntry): void {
    const snapshot = publicSnapshot(entry.toJSON(), this.#options.exposeErrors)
    this.#snapshots.delete(entry)
    const message = encodeMessage(JSON.stringify({ event, task: snapshot }))
    for (const channel of this.#channels.values()) if (channel.matches(snapshot)) channel.push(message)
    for (const { channel, walk } of this.#walking) if (channel.matches(snapshot)) walk!.skip(snapshot)
    this.#schedule()
  }

  #onGone (process: ProcessIdentity): void {
    const message = encodeMessage(JSON.stringify({ event: 'gone', process }))
    for (const channel of this.#channels.values()) if (channel.matchesProcess(process)) channel.push(message)
    this.#schedule()
  }

  // --- turns ---

  #schedule (): void {
    if (this.#clients.size > 0) this.#turn ??= setTimeout(() => this.#run(), Math.max(0, this.#pausedUntil - performance.now()))
  }

  #run (): void {
    this.#turn = undefined
    const start = performance.now()
    let isMore = false
    for (const channel of [...this.#channels.values()]) {
      for (const client of channel.distribute(Math.min(PORTION, this.#options.maxBuffer))) this.#drop(client, 'maxBuffer')
      isMore ||= channel.hasEvents
    }
    isMore = this.#sendSnapshots(start + TURN) || isMore
    const end = performance.now()
    this.#pausedUntil = end + Math.min(MAX_PAUSE, PAUSE_FACTOR * (end - start))
    if (isMore) this.#schedule()
  }

  #startWalk (client: FeedClient): void {
    client.walk = new SnapshotWalk(() => this.#backend.live(client.channel.filter), (error) => {
      if (error === undefined) this.#schedule()
      else this.#drop(client, 'error', error)
    })
    this.#walking.add(client)
    // Before the events from now on.
    if (this.#sendSnapshotsTo(client, performance.now() + TURN)) this.#schedule()
  }

  /** @returns whether there was no time for all */
  #sendSnapshots (until: number): boolean {
    let isMore = false
    for (const client of [...this.#walking]) {
      // What is live now comes after the events that led there.
      if (client.channel.hasEvents) continue
      isMore = this.#sendSnapshotsTo(client, until) || isMore
    }
    return isMore
  }

  /** As much as the client reads at once. @returns whether there was no time for that */
  #sendSnapshotsTo (client: FeedClient, until: number): boolean {
    const walk = client.walk!
    let isMore = true
    while (isMore && performance.now() <= until) isMore = this.#sendSome(client, walk)
    this.#walking.delete(client)
    if (walk.hasEnded) client.walk = undefined
    // The client that was served comes last.
    else this.#walking.add(client)
    return isMore
  }

  /** @returns whether the client may take more */
  #sendSome (client: FeedClient, walk: SnapshotWalk): boolean {
    const frames: Buffer[] = []
    let size = 0
    let isFull = false
    let entry
    while (size < CHUNK && (entry = walk.current) !== undefined) {
      const message = this.#snapshots.messageOf(entry)
      const total = size + sizeOf(message)
      isFull = !client.hasRoomFor(total, { isFirst: frames.length === 0 })
      if (isFull) break
      frames.push(...message)
      size = total
      walk.advance()
    }
    client.send(frames)
    return !isFull && !walk.isWaiting
  }
}

function keyOf ({ group, prefix, process }: FeedFilter): string {
  return JSON.stringify([group, prefix, process])
}
