import type { ControlBackend, ControlEvent, LiveEntry } from '../shared/control-backend'
import { timers } from '../shared/timers'
import type { Channel } from './channel'
import { MAX_MESSAGE, TOPICS, encode } from './messages'
import { writeSnapshot } from './snapshots'

// How long events wait for others to be sent with them, in ms.
const WINDOW = 20
const MAX_WAITING = MAX_MESSAGE / 2
// An emitter that has not said by then whether it has taken the events never will.
const CONFIRMATION_TIMEOUT = 5_000

/** Sends the events of this process's tasks while another process listens. */
export class EventSender {
  private number = 0
  private unsubscribe: (() => void) | undefined
  private exposes = false
  private items: string[] = []
  private size = 0
  private timer: NodeJS.Timeout | undefined
  private unconfirmedSince = -Infinity

  constructor (private readonly id: string, private readonly own: ControlBackend, private readonly channel: Channel) {}

  /** The number of the last message, while there are any: a gap reveals that events were lost. */
  get sequence (): number | undefined {
    return this.unsubscribe && this.number
  }

  /** Whether another process listens, and whether error text may be sent. */
  update ({ listened, exposes }: { listened: boolean, exposes: boolean }): void {
    this.exposes = exposes
    if (listened === (this.unsubscribe !== undefined)) return
    if (listened) {
      // A process that was believed to be gone, but kept listening, thereby sees that events are missing.
      this.number++
      this.unsubscribe = this.own.subscribe((event, entry) => this.add(event, entry))
    } else {
      this.unsubscribe!()
      this.unsubscribe = undefined
      this.clear()
    }
  }

  /** Sends the waiting events: the next answer must not arrive before them. */
  flush (): void {
    timers.clearTimeout(this.timer)
    this.timer = undefined
    if (this.items.length === 0) return
    if (this.channel.down) return this.lose()
    const wait = this.unconfirmedSince + CONFIRMATION_TIMEOUT - timers.now()
    if (wait > 0) {
      this.timer = timers.setTimeout(() => this.flush(), wait, undefined)
      return
    }
    const { items } = this
    this.clear()
    this.unconfirmedSince = timers.now()
    const payload = encode('events', this.id, [String(++this.number), ...items])
    this.channel.send(TOPICS.events, payload).then(() => {
      this.unconfirmedSince = -Infinity
      this.flush()
    })
  }

  private add (event: ControlEvent, entry: LiveEntry): void {
    const item = `["${event}",${writeSnapshot(entry.toJSON(), this.exposes)}]`
    this.size += item.length
    if (this.size > MAX_WAITING) return this.lose()
    this.items.push(item)
    this.timer ??= timers.setTimeout(() => this.flush(), WINDOW, undefined)
  }

  /** Its number is then missing, so listeners read the tasks again. */
  private lose (): void {
    this.clear()
    this.number++
  }

  private clear (): void {
    timers.clearTimeout(this.timer)
    this.timer = undefined
    this.items = []
    this.size = 0
  }
}
