import { FST_ERR_TASK_INVALID_OPTION } from '../shared/errors'
import { formatValue } from '../shared/option-checks'
import { succeeds } from '../shared/thrown'
import { Task } from './task'

interface Link {
  tasks: Set<Task>
  onAbort: () => void
}

/**
 * The tasks that each signal cancels. One listener for each signal, however many tasks share it: a signal's own list of
 * listeners is walked at every removal, and warns at eleven.
 */
const links = new WeakMap<AbortSignal, Link>()

/**
 * Cancels the task with the signal's reason when the signal aborts.
 * @returns the reason if the signal has aborted before: then it does nothing
 * @throws FST_ERR_TASK_INVALID_OPTION when the signal throws, which may not be Node's own
 */
export function subscribe (signal: AbortSignal, task: Task): { reason: unknown } | undefined {
  try {
    if (signal.aborted) return { reason: signal.reason }
    const link = links.get(signal) ?? open(signal)
    link.tasks.add(task)
  } catch (cause) {
    throw Object.assign(new FST_ERR_TASK_INVALID_OPTION('signal', 'an AbortSignal that does not throw', formatValue(signal)), { cause })
  }
}

function open (signal: AbortSignal): Link {
  // Not by `this` nor the event: a wrapper or a polyfill may call its listeners with neither.
  const link = { tasks: new Set<Task>(), onAbort: () => abort(signal, link) }
  signal.addEventListener('abort', link.onAbort, { once: true })
  links.set(signal, link)
  return link
}

function abort (signal: AbortSignal, { tasks }: Link): void {
  links.delete(signal)
  const reason = reasonOf(signal)
  for (const task of tasks) Task.cancel(task, reason)
  tasks.clear()
}

function reasonOf (signal: AbortSignal): unknown {
  try {
    return signal.reason
  } catch (error) {
    return error
  }
}

/** Removes the task from the signal; with the last one, the listener too. */
export function unsubscribe (signal: AbortSignal, task: Task): void {
  const link = links.get(signal)
  if (link?.tasks.delete(task) !== true || link.tasks.size > 0) return
  links.delete(signal)
  // It may not be one of Node's own signals. A listener that stays does nothing.
  succeeds(() => signal.removeEventListener('abort', link.onAbort))
}
