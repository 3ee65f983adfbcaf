import createError from '@fastify/error'

// The contract with every caller: a wrong value is named, and so is what would have been right.
const INVALID = "'%s' must be %s, got %s"

/** An option of the plugin, of `addTask` or of a sub-plugin has a wrong value or is not known. Nothing was registered or added. */
export const FST_ERR_TASK_INVALID_OPTION = createError<'FST_ERR_TASK_INVALID_OPTION', [option: string, expected: string, got: string]>(
  'FST_ERR_TASK_INVALID_OPTION', `Option ${INVALID}`, 500, TypeError)

/** An argument has a wrong value. Nothing was added or changed. */
export const FST_ERR_TASK_INVALID_ARGUMENT = createError<'FST_ERR_TASK_INVALID_ARGUMENT', [argument: string, expected: string, got: string]>(
  'FST_ERR_TASK_INVALID_ARGUMENT', `Argument ${INVALID}`, 500, TypeError)

/** The name belongs to a live task, if only to one that is being cancelled. */
export const FST_ERR_TASK_NAME_IN_USE = createError<'FST_ERR_TASK_NAME_IN_USE', [name: string]>(
  'FST_ERR_TASK_NAME_IN_USE', "Task name '%s' is in use by a live task", 409)

/** No task of this name is live or kept. */
export const FST_ERR_TASK_NOT_FOUND = createError<'FST_ERR_TASK_NOT_FOUND', [name: string]>(
  'FST_ERR_TASK_NOT_FOUND', "Task '%s' was not found", 404)

/** The task is no longer live, so there is nothing to cancel or renew. */
export const FST_ERR_TASK_NOT_LIVE = createError<'FST_ERR_TASK_NOT_LIVE', [name: string, state: string]>(
  'FST_ERR_TASK_NOT_LIVE', "Task '%s' is no longer live: %s", 409)

/** The task was cancelled and is still running `cancelTimeout` later. It stays `cancelling` and keeps its name. */
export const FST_ERR_TASK_CANCEL_TIMEOUT = createError<'FST_ERR_TASK_CANCEL_TIMEOUT', [name: string, timeout: number]>(
  'FST_ERR_TASK_CANCEL_TIMEOUT', "Task '%s' is still running %d ms after it was cancelled", 504)

/** The function returned its own task, which would wait for itself for ever. */
export const FST_ERR_TASK_OWN_RESULT = createError<'FST_ERR_TASK_OWN_RESULT', [name: string]>(
  'FST_ERR_TASK_OWN_RESULT', "Task '%s' returned itself as its result", 500, TypeError)

/** What awaiting a cancelled task rejects with. Its `name` is `AbortError`, its `cause` the reason. */
export class FST_ERR_TASK_CANCELLED extends createError<'FST_ERR_TASK_CANCELLED', [name: string, options?: ErrorOptions]>(
  'FST_ERR_TASK_CANCELLED', "Task '%s' was cancelled", 503) {
  override name = 'AbortError'
}

/** What awaiting a task rejects with when its lease has lapsed. Its `name` is `AbortError`, its `cause` the reason. */
export class FST_ERR_TASK_EXPIRED extends createError<'FST_ERR_TASK_EXPIRED', [name: string, options?: ErrorOptions]>(
  'FST_ERR_TASK_EXPIRED', "Task '%s' was cancelled: its lease was not renewed", 503) {
  override name = 'AbortError'
}

/** The app is closing its tasks: none is added, and the live ones are cancelled with this as the reason. */
export class FST_ERR_TASKS_CLOSED extends createError<'FST_ERR_TASKS_CLOSED', []>(
  'FST_ERR_TASKS_CLOSED', 'Tasks are closed: the app is shutting down', 503) {
  override name = 'AbortError'
}
