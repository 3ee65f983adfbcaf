import type { EventEmitter } from 'node:events'
import type { Emitter } from '../../types/process'

export interface Reports {
  /** The emitter has complained: its server is away, say. */
  complaint (error: unknown): void
  /** What was received could not be handled by the emitter, or by a listener of the user's. */
  unreadable (error: unknown): void
}

/** What `mqemitter-redis` has besides. */
interface RedisEmitter extends Emitter {
  state?: EventEmitter
  subConn?: EventEmitter
}

/** Whom to tell, by emitter: several apps may share one. */
const guarded = new WeakMap<Emitter, Set<Reports>>()

/**
 * `mqemitter-redis` throws in the handlers of its connections, which ends the process: when Redis is away and nobody listens to
 * its `state`, and at bytes that it cannot decode, which anybody who reaches Redis may publish on a topic. The app that
 * subscribes brings the danger, so it also averts it.
 * @returns what ends that when the app has closed
 */
export function guardEmitter (emitter: RedisEmitter, reports: Reports): () => void {
  const { state, subConn } = emitter
  if (typeof state?.on !== 'function' || typeof subConn?.rawListeners !== 'function') return () => {}
  const all = guarded.get(emitter) ?? new Set()
  if (!guarded.has(emitter)) {
    guarded.set(emitter, all)
    // Stays: Redis may be away when the app closes, and the emitter lives on.
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
