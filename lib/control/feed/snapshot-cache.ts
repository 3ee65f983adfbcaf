import type { LiveEntry } from '../../shared/control-backend'
import { publicSnapshot } from '../schemas'
import { encodeMessage, sizeOf, type Message } from './frames'

/** In ms. No longer: what is left of a lease changes without an event. */
const MAX_AGE = 1_000
/** In bytes. */
const MAX_SIZE = 8 * 2 ** 20

/** Snapshots as they are sent to clients that come at about the same time: encoded once for all of them. */
export class SnapshotCache {
  readonly #exposeErrors: boolean
  readonly #messages = new Map<LiveEntry, Message>()
  #size = 0
  #since = 0

  constructor (exposeErrors: boolean) {
    this.#exposeErrors = exposeErrors
  }

  messageOf (entry: LiveEntry): Message {
    if (this.#size > MAX_SIZE || performance.now() - this.#since > MAX_AGE) this.clear()
    let message = this.#messages.get(entry)
    if (message === undefined) {
      message = encodeMessage(JSON.stringify({ event: 'snapshot', task: publicSnapshot(entry.toJSON(), this.#exposeErrors) }))
      this.#messages.set(entry, message)
      this.#size += sizeOf(message)
    }
    return message
  }

  /** The task has changed. */
  delete (entry: LiveEntry): void {
    this.#messages.delete(entry)
  }

  clear (): void {
    this.#messages.clear()
    this.#size = 0
    this.#since = performance.now()
  }
}
