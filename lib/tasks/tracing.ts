import { tracingChannel } from 'node:diagnostics_channel'
import type { Task } from '../../types/task'

/** What subscribers of `fastify-tasks.run` are given. */
export interface RunMessage {
  task: Task
  result?: unknown
  error?: unknown
}

/** `tracing:fastify-tasks.run:*`: published around each task's run, while somebody listens. */
export const runChannel = tracingChannel<string, RunMessage>('fastify-tasks.run')

const { start, end, asyncStart, asyncEnd, error } = runChannel

/** Each channel of its own: the tracing channel of Bun has no `hasSubscribers`. */
export function isTraced (): boolean {
  return start.hasSubscribers || end.hasSubscribers || asyncStart.hasSubscribers || asyncEnd.hasSubscribers || error.hasSubscribers
}

// Not `tracePromise`: on Node 26 it calls `then` of what the function returned, and a lazy thenable would begin its work twice.

/** Calls the function as traced code. */
export function traceCall<A, T> (message: RunMessage, call: (argument: A) => T, argument: A): T {
  return start.runStores(message, () => {
    let outcome
    try {
      outcome = call(argument)
    } catch (thrown) {
      message.error = thrown
      error.publish(message)
      end.publish(message)
      throw thrown
    }
    end.publish(message)
    return outcome
  })
}

/** Tells that what the function returned has settled. */
export function traceReturn (message: RunMessage, result: unknown): void {
  message.result = result
  asyncStart.publish(message)
  asyncEnd.publish(message)
}

export function traceRejection (message: RunMessage, reason: unknown): void {
  message.error = reason
  error.publish(message)
  asyncStart.publish(message)
  asyncEnd.publish(message)
}
