// An mqemitter over the messages between a primary and its workers: one machine, no server. Between machines use
// mqemitter-redis. The primary passes messages on, so it must run `relay()`; workers use `clusterEmitter()`.
import cluster, { type Worker } from 'node:cluster'
import type { Emitter } from 'fastify-tasks'

type Listener = Parameters<Emitter['on']>[1]

/** What crosses: a message, or what a worker wants to hear of. Of a name of its own, beside whatever else the app sends. */
interface Envelope {
  tasksEmitter?: { subscribe?: string, unsubscribe?: string, message?: { topic: string, payload: string } }
}

/** In the primary: passes each message on to the workers that have subscribed to its topic. */
export function relay (): void {
  const subscribers = new Map<string, Set<Worker>>()

  cluster.on('message', (worker, { tasksEmitter }: Envelope) => {
    const { subscribe, unsubscribe, message } = tasksEmitter ?? {}
    if (subscribe !== undefined) subscribers.set(subscribe, (subscribers.get(subscribe) ?? new Set()).add(worker))
    if (unsubscribe !== undefined) leave(worker, unsubscribe)
    if (message === undefined) return
    // A worker that is just going takes no message any more.
    for (const other of subscribers.get(message.topic) ?? []) if (other.isConnected()) other.send({ tasksEmitter: { message } }, () => {})
  })

  cluster.on('disconnect', (worker) => { for (const topic of subscribers.keys()) leave(worker, topic) })

  function leave (worker: Worker, topic: string): void {
    subscribers.get(topic)?.delete(worker)
    if (subscribers.get(topic)?.size === 0) subscribers.delete(topic)
  }
}

/** In a worker: what `fastifyTasks` takes as its `emitter`. */
export function clusterEmitter (): Emitter {
  const listeners = new Map<string, Set<Listener>>()

  process.on('message', ({ tasksEmitter }: Envelope) => {
    const message = tasksEmitter?.message
    if (message !== undefined) for (const listener of listeners.get(message.topic) ?? []) listener(message, () => {})
  })

  function send (tasksEmitter: Envelope['tasksEmitter'], done: (error?: Error | null) => void = () => {}): void {
    if (process.connected) process.send!({ tasksEmitter }, undefined, undefined, done)
    else done(new Error('The primary has gone'))
  }

  return {
    on (topic, listener, done) {
      const known = listeners.get(topic)
      known?.add(listener)
      if (known === undefined) listeners.set(topic, new Set([listener]))
      send({ subscribe: topic }, () => done?.())
    },
    removeListener (topic, listener, done) {
      listeners.get(topic)?.delete(listener)
      if (listeners.get(topic)?.size === 0) {
        listeners.delete(topic)
        send({ unsubscribe: topic }, () => done?.())
      } else done?.()
    },
    emit: (message, done) => send({ message }, done)
  }
}
