import { succeeds } from '../shared/thrown'

/** What a signal of the caller's cancels. */
export interface Cancellable {
  cancel (reason: unknown): boolean
}

/**
 * Who is cancelled by which signal. One listener for each signal, however many tasks share it: a signal's own list of
 * listeners is walked at every removal, and warns at eleven.
 */
const links = new WeakMap<AbortSignal, Set<Cancellable>>()

function onAbort (this: AbortSignal): void {
  const tasks = links.get(this)
  if (tasks === undefined) return
  links.delete(this)
  for (const task of tasks) task.cancel(this.reason)
}

/** Cancels the task with the signal's reason when the signal aborts. Does nothing if it has aborted before. */
export function subscribe (signal: AbortSignal, task: Cancellable): void {
  let tasks = links.get(signal)
  if (tasks === undefined) {
    signal.addEventListener('abort', onAbort, { once: true })
    links.set(signal, tasks = new Set())
  }
  tasks.add(task)
}

/** Takes the task off the signal; with the last one, the listener too. */
export function unsubscribe (signal: AbortSignal, task: Cancellable): void {
  const tasks = links.get(signal)
  if (tasks?.delete(task) !== true || tasks.size > 0) return
  links.delete(signal)
  // It may be no signal of Node's. What is left behind does nothing.
  succeeds(() => signal.removeEventListener('abort', onAbort))
}
