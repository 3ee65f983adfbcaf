import { timers } from '../shared/timers'
import type { Channel } from './channel'
import { MAX_MESSAGE, encode, type MessageKind } from './messages'

/** Collects what goes out in one turn of the event loop: many requests cross as one message. */
export class Outbox {
  /** Items by topic and kind. */
  private waiting = new Map<string, { topic: string, kind: MessageKind, items: string[] }>()

  constructor (private readonly id: string, private readonly channel: Channel) {}

  /** `item` is JSON, well below {@link MAX_MESSAGE}. */
  push (topic: string, kind: MessageKind, item: string): void {
    if (this.waiting.size === 0) timers.setImmediate(() => this.flush(), undefined)
    const key = `${kind} ${topic}`
    const entry = this.waiting.get(key)
    if (entry === undefined) this.waiting.set(key, { topic, kind, items: [item] })
    else entry.items.push(item)
  }

  flush (): void {
    const { waiting } = this
    this.waiting = new Map()
    for (const { topic, kind, items } of waiting.values()) {
      for (const part of parts(items)) this.channel.send(topic, encode(kind, this.id, part))
    }
  }
}

function * parts (items: string[]): Generator<string[]> {
  let part: string[] = []
  let size = 0
  for (const item of items) {
    // Half: what surrounds the items has its room, and no emitter is asked for one huge message.
    if (part.length > 0 && size + item.length > MAX_MESSAGE / 2) {
      yield part
      part = []
      size = 0
    }
    part.push(item)
    size += item.length + 1
  }
  yield part
}
