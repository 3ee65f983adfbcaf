import type { EventEmitter } from 'node:events'
import { types } from 'node:util'

/** As `emit`, but a listener that fails, at once or later, stops neither the others nor the caller. */
export function callListeners (emitter: EventEmitter, event: string, argument: unknown, onError: (error: unknown) => void): void {
  for (const listener of emitter.rawListeners(event)) {
    try {
      const result: unknown = Reflect.apply(listener, emitter, [argument])
      if (isPromiseLike(result)) result.then(undefined, onError)
    } catch (error) {
      onError(error)
    }
  }
}

/** A promise, of another realm too, or what has the methods of one. Not a task: whoever calls its `then` gets its failure. */
function isPromiseLike (value: any): value is PromiseLike<unknown> {
  return types.isPromise(value) || (typeof value?.then === 'function' && typeof value.catch === 'function')
}
