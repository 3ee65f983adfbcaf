import { timers } from '../shared/timers'
import type { Channel } from './channel'
import { TOPICS, encode } from './messages'
import type { Beat } from './peers'

/** How often a process sends a beat, in ms: the same in all of them. */
const INTERVAL = 1_000
/** After so many undelivered beats in a row the emitter counts as down; one alone may be a stall. */
const MAX_LATE = 2
/** After so many in which nothing came, not even a beat of this process, the subscriptions count as lost. */
const MAX_SILENT = 3

interface PresenceOptions {
  id: string
  channel: Channel
  /** The content of the next beat. */
  beat: () => Beat
  /** An interval has passed in which the emitter has delivered. */
  onTick: () => void
}

/** Sends the beats of this process, and learns from their return whether the emitter delivers. */
export class Presence {
  private timer: NodeJS.Timeout | undefined
  // Of the last beat: whether the emitter has accepted it, and whether it came back, if the emitter ever delivers it here.
  private taken = true
  private returned = true
  private everReturned = false
  // Ticks in a row: in which the last beat was not delivered, and in which nothing came.
  private late = 0
  private silent = 0

  constructor (private readonly options: PresenceOptions) {}

  /** Resolves when the emitter has taken the first beat. */
  async start (): Promise<void> {
    this.timer = timers.setInterval(() => this.tick(), INTERVAL).unref()
    await this.send({ hello: true })
  }

  stop (): void {
    timers.clearInterval(this.timer)
  }

  /** Sends a beat at once, because its content has changed. */
  beat (): void {
    this.send()
  }

  /** Answers the first beat of another process. */
  greet (id: string): void {
    this.options.channel.send(TOPICS.of(id), this.encode())
  }

  /** A beat of this process has come back. */
  receiveOwn (): void {
    this.returned = true
    this.everReturned = true
  }

  private tick (): void {
    const { channel, onTick } = this.options
    // One that was taken on trust may have failed only now.
    if (this.taken && !channel.failed && (this.returned || !this.everReturned)) {
      this.late = 0
      channel.recover()
      onTick()
    } else if (++this.late >= MAX_LATE) channel.fail()
    this.silent = channel.received ? 0 : this.silent + 1
    if (this.taken && this.silent % MAX_SILENT === MAX_SILENT - 1) channel.resubscribe()
    channel.received = false
    channel.failed = false
    this.taken = false
    this.returned = false
    this.beat()
  }

  private async send (more?: Pick<Beat, 'hello'>): Promise<void> {
    if (await this.options.channel.send(TOPICS.all, this.encode(more))) this.taken = true
  }

  private encode (more?: Pick<Beat, 'hello'>): string {
    const { id, beat } = this.options
    return encode('beat', id, [JSON.stringify({ ...beat(), ...more })])
  }
}
