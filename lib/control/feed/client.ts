import type { Duplex } from 'node:stream'
import type { WebSocket } from '@fastify/websocket'
import type { Channel } from './channel'
import { endsMessage, markOf, PING, readMark } from './frames'
import type { SnapshotWalk } from './snapshot-walk'

/** What is written at a time, in bytes. */
export const CHUNK = 16 * 1024
/** How many bytes of the first snapshots wait at most: the rest follows as the client reads. */
const WINDOW = 64 * 1024

const OPEN = 1

interface FeedClientOptions {
  /** In bytes. */
  maxBuffer: number
  /** It has read something, so that {@link FeedClient.hasRoomFor} may say yes again. */
  onRoom: () => void
  onDrop: OnDrop
}

/** Why a client was dropped, and the error if it was one of ours. */
export type OnDrop = (reason: 'maxBuffer' | 'stallTimeout' | 'ping' | 'error', error?: unknown) => void

/** A client of the feed, and what waits for it. */
export class FeedClient {
  /** Its walk through the first snapshots, until it has them all. */
  walk: SnapshotWalk | undefined
  /** Whether it has answered since it was last pinged. */
  isAlive = true
  /** How many ticks of the feed's clock it has read nothing, although something waits for it. */
  ticksStalled = 0
  readonly #socket: WebSocket
  readonly #transport: Duplex
  readonly #options: FeedClientOptions
  /** Whole frames, shared with other clients. */
  readonly #queue: Buffer[] = []
  #queued = 0
  /** Bytes since the last mark. */
  #unmarked = 0
  #marks = 0
  #marksRead = 0

  constructor (socket: WebSocket, readonly channel: Channel, options: FeedClientOptions) {
    this.#socket = socket
    // Below `socket.send`, which would encode the same message for every client.
    this.#transport = (socket as unknown as { _socket: Duplex })._socket
    this.#options = options
    socket.on('pong', (data) => this.#onPong(data))
  }

  /** Whether snapshots of so many bytes can wait and leave room for events. A first one can if nothing else waits, whatever its size. */
  hasRoomFor (size: number, { isFirst }: { isFirst: boolean }): boolean {
    return (isFirst && this.#queued === 0) || this.#queued + size <= Math.min(this.#options.maxBuffer / 2, WINDOW)
  }

  get isWaitedFor (): boolean {
    return this.#queued > 0 || this.#transport.writableLength > 0
  }

  /**
   * Never waits. Frames are shared and must not be changed.
   * @returns `false` if more than `maxBuffer` bytes wait for the client, besides the message that is being sent
   */
  send (frames: readonly Buffer[]): boolean {
    for (const frame of frames) {
      this.#queue.push(frame)
      this.#queued += frame.length
    }
    this.#write()
    const { maxBuffer } = this.#options
    return this.#queued <= maxBuffer || this.#queued - this.#firstMessage() <= maxBuffer
  }

  ping (): void {
    this.isAlive = false
    this.send([PING])
  }

  drop (...why: Parameters<OnDrop>): void {
    this.terminate()
    this.#options.onDrop(...why)
  }

  terminate (): void {
    this.#queue.length = 0
    this.#socket.terminate()
  }

  #write (): void {
    // What the kernel takes at once leaves nothing behind.
    while (this.#queue.length > 0 && this.#transport.writableLength === 0 && this.#socket.readyState === OPEN) {
      this.#transport.write(this.#nextChunk(), this.#onWritten)
    }
  }

  readonly #onWritten = (): void => {
    this.ticksStalled = 0
    this.#write()
    if (this.walk !== undefined) this.#options.onRoom()
  }

  /** With a mark now and then. A pong to it shows what was read, long before the kernel lets more be written: its buffers hold megabytes. */
  #nextChunk (): Buffer {
    let [count, size] = [0, 0]
    do size += this.#queue[count++].length
    while (count < this.#queue.length && size + this.#queue[count].length <= CHUNK)
    this.#queued -= size
    const frames = this.#queue.splice(0, count)
    this.#unmarked += size
    if (this.#unmarked >= CHUNK) {
      this.#unmarked = 0
      frames.push(markOf(++this.#marks))
    }
    return frames.length === 1 ? frames[0] : Buffer.concat(frames)
  }

  #onPong (data: Buffer): void {
    this.isAlive = true
    const mark = readMark(data)
    // A pong that nothing has asked for shows nothing.
    if (mark <= this.#marksRead || mark > this.#marks) return
    this.#marksRead = mark
    this.ticksStalled = 0
  }

  /** The bytes of the first message that waits, or of its rest. */
  #firstMessage (): number {
    const last = this.#queue.findIndex(endsMessage)
    return this.#queue.slice(0, last + 1).reduce((size, { length }) => size + length, 0)
  }
}
