/** What an outer signal cancels. */
export interface Cancellable {
  cancel (reason: unknown): boolean
}

/**
 * Who is cancelled by which signal. One listener for each signal, however many tasks share it: a signal's own list of
 * listeners is walked at every removal, and warns at eleven.
 */
const links = new WeakMap<AbortSignal, Set<Cancellable>>()

function onAbort (this: AbortSignal): void {
  const linked = links.get(this)!
  links.delete(this)
  for (const task of linked) task.cancel(this.reason)
}

/** Cancels the task with the signal's reason when the signal aborts, at once if it has. */
export function link (signal: AbortSignal, task: Cancellable): void {
  if (signal.aborted) {
    task.cancel(signal.reason)
    return
  }
  let linked = links.get(signal)
  if (linked === undefined) {
    links.set(signal, linked = new Set())
    signal.addEventListener('abort', onAbort, { once: true })
  }
  linked.add(task)
}

/** Takes the task off the signal; with the last one, the listener too. */
export function unlink (signal: AbortSignal, task: Cancellable): void {
  const linked = links.get(signal)
  if (linked?.delete(task) !== true || linked.size > 0) return
  links.delete(signal)
  signal.removeEventListener('abort', onAbort)
}
