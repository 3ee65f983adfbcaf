import type { FastifyBaseLogger } from 'fastify'
import type { Emitter } from '../../types/process'
import { timers } from '../shared/timers'
import { logLine, logThrown } from '../shared/thrown'
import { guardEmitter } from './emitter-guard'

type Listener = Parameters<Emitter['on']>[1]

/** The caller's emitter. If it throws, fails or stops responding, nothing here throws. Knows whether it delivers. */
export class Channel {
  /** Messages are not delivered: other processes are out of reach, and may still run. */
  down = false
  /** Whether anything has come since this was last set to false. */
  received = false
  /** Whether a message has failed since this was last set to false. */
  failed = false
  private readonly listeners = new Map<string, Listener>()
  /** The emitter's last complaint that came with no message. */
  private complaint: unknown
  /** Whether the emitter has ever called back. One that never does counts as delivering. */
  private callsBack = false
  private readonly unguard: () => void

  private unreadableAt = -Infinity

  constructor (private readonly emitter: Emitter, private readonly log: FastifyBaseLogger) {
    this.unguard = guardEmitter(emitter, {
      complaint: (error) => { this.complaint = error },
      unreadable: (error) => this.reportUnreadable(error)
    })
  }

  /** Resolves when the subscription is in effect, as far as the emitter says so. */
  subscribe (topic: string, receive: (payload: unknown) => void): Promise<void> {
    const listener: Listener = (message, done) => {
      this.received = true
      try {
        receive(message?.payload)
      } catch (error) {
        logThrown(this.log, error, 'A message of another process could not be handled', { topic }, 'debug')
      }
      done?.()
    }
    this.listeners.set(topic, listener)
    return this.call((done) => this.emitter.on(topic, listener, done))
  }

  unsubscribe (topic: string): Promise<void> {
    const listener = this.listeners.get(topic)
    if (listener === undefined) return Promise.resolve()
    this.listeners.delete(topic)
    return this.call((done) => this.emitter.removeListener(topic, listener, done))
  }

  /** Renews subscriptions, which the emitter may have lost without an error, as `mqemitter-redis` does after a long outage of Redis. */
  resubscribe (): void {
    for (const [topic, listener] of this.listeners) {
      this.call((done) => this.emitter.removeListener(topic, listener, done))
      const again: Listener = (message, done) => listener(message, done)
      this.listeners.set(topic, again)
      this.call((done) => this.emitter.on(topic, again, done))
    }
  }

  /** Resolves to whether the emitter has taken the message: at once if it never says so. */
  send (topic: string, payload: string): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.callsBack) timers.setImmediate(resolve, true)
      const settle = (error?: unknown): void => {
        if (error != null) {
          this.failed = true
          this.fail(error)
        }
        resolve(error == null)
      }
      try {
        catchRejection(this.emitter.emit({ topic, payload }, (error) => {
          this.callsBack = true
          settle(error)
        }), settle)
      } catch (error) {
        settle(error)
      }
    })
  }

  /** Reports an outage, once. */
  fail (error?: unknown): void {
    if (this.down) return
    this.down = true
    logThrown(this.log, error ?? this.complaint, 'The emitter does not deliver: the tasks of other processes are out of reach', {}, 'warn')
  }

  recover (): void {
    if (!this.down) return
    this.down = false
    this.complaint = undefined
    logLine(this.log, 'debug', 'The emitter delivers again')
  }

  /** The emitter itself stays open: it belongs to the caller. */
  async close (): Promise<void> {
    await Promise.all([...this.listeners.keys()].map((topic) => this.unsubscribe(topic)))
    this.unguard()
  }

  /** Once a minute: a flood of messages must not flood the log. */
  private reportUnreadable (error: unknown): void {
    const now = timers.now()
    if (now - this.unreadableAt < 60_000) return
    this.unreadableAt = now
    logThrown(this.log, error, 'A message of the emitter could not be handled')
  }

  private call (method: (done: () => void) => unknown): Promise<void> {
    return new Promise((resolve) => {
      const failed = (error: unknown): void => {
        this.fail(error)
        resolve()
      }
      try {
        catchRejection(method(() => resolve()), failed)
      } catch (error) {
        failed(error)
      }
    })
  }
}

/** Of a method that is async, as those of an emitter need not be. */
function catchRejection (returned: unknown, failed: (error: unknown) => void): void {
  if (returned instanceof Promise) returned.catch(failed)
}
