import type { EventEmitter } from 'node:events'
import type { Emitter } from '../../types/process'

export interface Reports {
  /** The emitter has reported an error, for example that its server is unavailable. */
  complaint (error: unknown): void
  /** The emitter, or a listener of the caller's, could not handle a message. */
  unreadable (error: unknown): void
}

/** The additional members of `mqemitter-redis`. */
interface RedisEmitter extends Emitter {
  state?: EventEmitter
  subConn?: EventEmitter
}

/** The listeners of each emitter: several apps may share one. */
const guarded = new WeakMap<Emitter, Set<Reports>>()

/**
 * `mqemitter-redis` throws in the handlers of its connections, which ends the process: when Redis is unavailable and nobody listens
 * to its `state`, and at bytes that it cannot decode, which anybody who reaches Redis may publish on a topic. Subscribing exposes
 * the app to that, so the app that subscribes guards against it.
 * @returns a function that removes the guard when the app has closed
 */
export function guardEmitter (emitter: RedisEmitter, reports: Reports): () => void {
  const { state, subConn } = emitter
  if (typeof state?.on !== 'function' || typeof subConn?.rawListeners !== 'function') return () => {}
  const all = guarded.get(emitter) ?? new Set()
  if (!guarded.has(emitter)) {
    guarded.set(emitter, all)
    // This listener stays: Redis may be unavailable when the app closes, and the emitter is still used.
    state.on('error', (error) => { for (const { complaint } of all) complaint(error) })
    for (const event of ['messageBuffer', 'pmessageBuffer']) guardListeners(subConn, event, all)
  }
  all.add(reports)
  return () => { all.delete(reports) }
}

function guardListeners (connection: EventEmitter, event: string, all: Set<Reports>): void {
  for (const listener of connection.rawListeners(event)) {
    connection.off(event, listener as () => void)
    connection.on(event, function (this: EventEmitter, ...args: unknown[]) {
      try {
        listener.apply(this, args)
      } catch (error) {
        if (all.size === 0) throw error
        for (const { unreadable } of all) unreadable(error)
      }
    })
  }
}
