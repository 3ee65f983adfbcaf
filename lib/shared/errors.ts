import createPlainError from '@fastify/error'
import { clip, redactOption, redactUrls } from './redaction'

// A client may have sent any of the arguments, of any length, and a connection string may have been given as a name, a kind or an option.
const createError = ((...definition: Parameters<typeof createPlainError>) => new Proxy(createPlainError(...definition), {
  construct: (target, args: unknown[], created) => Reflect.construct(target, args.map((arg) => typeof arg === 'string' ? clip(redactUrls(arg), 500) : arg), created) as Error
})) as typeof createPlainError

/** The contract with every caller: a wrong value is named, and so is what would have been right. */
const createInvalidError = <C extends string>(code: C, what: 'Option' | 'Argument') => new Proxy(
  createError<C, [name: string, expected: string, got: string]>(code, `${what} '%s' must be %s, got %s`, 500, TypeError), {
    // The password of a connection string may have been given as any value.
    construct: (target, [name, expected, got], created) => Reflect.construct(target, [name, expected, redactOption(name, got)], created) as Error
  })

/** An option of the plugin, of `addTask` or of a sub-plugin has a wrong value or is not known. Nothing was registered or added. */
export class FST_ERR_TASK_INVALID_OPTION extends createInvalidError('FST_ERR_TASK_INVALID_OPTION', 'Option') {}

/** An argument has a wrong value. Nothing was added or changed. */
export class FST_ERR_TASK_INVALID_ARGUMENT extends createInvalidError('FST_ERR_TASK_INVALID_ARGUMENT', 'Argument') {}

/** The name belongs to a live task, including one that is being cancelled. */
export const FST_ERR_TASK_NAME_IN_USE = createError<'FST_ERR_TASK_NAME_IN_USE', [name: string]>(
  'FST_ERR_TASK_NAME_IN_USE', "Task name '%s' is in use by a live task", 409)

/** No task of this name is live or kept. */
export const FST_ERR_TASK_NOT_FOUND = createError<'FST_ERR_TASK_NOT_FOUND', [name: string]>(
  'FST_ERR_TASK_NOT_FOUND', "Task '%s' was not found", 404)

/** No process that has answered has a task of this name, and some have not answered: `missing` has their ids. */
export class FST_ERR_TASK_OUT_OF_REACH extends createError<'FST_ERR_TASK_OUT_OF_REACH', [name: string, processes: string]>(
  'FST_ERR_TASK_OUT_OF_REACH', "Task '%s' was not found, but these processes did not answer: %s", 503) {
  readonly missing: string[]

  constructor (name: string, ...missing: string[]) {
    super(name, missing.join(', '))
    this.missing = missing
  }
}

/** The task is no longer live, so there is nothing to cancel or renew. */
export const FST_ERR_TASK_NOT_LIVE = createError<'FST_ERR_TASK_NOT_LIVE', [name: string, state: string]>(
  'FST_ERR_TASK_NOT_LIVE', "Task '%s' is no longer live: %s", 409)

/**
 * Tasks were cancelled and are still running `cancelTimeout` later: their names are in `tasks`. They stay `cancelling` and keep
 * their names; the request remains in effect.
 */
export class FST_ERR_TASK_CANCEL_TIMEOUT extends createError<'FST_ERR_TASK_CANCEL_TIMEOUT', [who: string, timeout: number, when: string]>(
  'FST_ERR_TASK_CANCEL_TIMEOUT', '%s still running %d ms after %s cancelled', 504) {
  readonly tasks: string[]

  constructor (tasks: string | string[], timeout: number) {
    const names = [tasks].flat()
    if (names.length === 1) super(`Task '${clip(redactUrls(names[0]))}' is`, timeout, 'it was')
    else super(`${names.length} tasks are`, timeout, 'they were')
    this.tasks = names
  }
}

/** What a task that has run longer than its `timeout` fails with, and the reason of its signal. */
export const FST_ERR_TASK_TIMEOUT = createError<'FST_ERR_TASK_TIMEOUT', [name: string, timeout: number]>(
  'FST_ERR_TASK_TIMEOUT', "Task '%s' took longer than %d ms", 504)

/** As many tasks of the group are pending as its `maxPending` allows. Nothing was added. */
export const FST_ERR_TASK_GROUP_FULL = createError<'FST_ERR_TASK_GROUP_FULL', [group: string, maxPending: number]>(
  'FST_ERR_TASK_GROUP_FULL', "Task group '%s' is full: %d tasks are pending", 503)

/** The limits of the group were defined before. */
export const FST_ERR_TASK_GROUP_ALREADY_DEFINED = createError<'FST_ERR_TASK_GROUP_ALREADY_DEFINED', [group: string]>(
  'FST_ERR_TASK_GROUP_ALREADY_DEFINED', "Task group '%s' is already defined", 500)

/** The function returned its own task, which would wait for itself. */
export const FST_ERR_TASK_SELF_RESULT = createError<'FST_ERR_TASK_SELF_RESULT', [name: string]>(
  'FST_ERR_TASK_SELF_RESULT', "Task '%s' returned itself as its result", 500, TypeError)

/** What awaiting a cancelled task rejects with. Its `name` is `AbortError`, its `cause` the reason. */
export class FST_ERR_TASK_CANCELLED extends createError<'FST_ERR_TASK_CANCELLED', [name: string, options?: ErrorOptions]>(
  'FST_ERR_TASK_CANCELLED', "Task '%s' was cancelled", 503) {
  override name = 'AbortError'
}

/** What awaiting a task rejects with when its lease has expired. Its `name` is `AbortError`, its `cause` the reason. */
export class FST_ERR_TASK_EXPIRED extends createError<'FST_ERR_TASK_EXPIRED', [name: string, options?: ErrorOptions]>(
  'FST_ERR_TASK_EXPIRED', "Task '%s' was cancelled: its lease was not renewed", 503) {
  override name = 'AbortError'
}

/** The app is closing its tasks: none is added, and the live ones are cancelled with this as the reason. */
export class FST_ERR_TASKS_CLOSED extends createError<'FST_ERR_TASKS_CLOSED', []>(
  'FST_ERR_TASKS_CLOSED', 'Tasks are closed: the app is shutting down', 503) {
  override name = 'AbortError'
}

/** An option of the jobs plugin, of `defineJob` or of `addJob` has a wrong value or is not known. Nothing was registered or stored. */
export class FST_ERR_JOB_INVALID_OPTION extends createInvalidError('FST_ERR_JOB_INVALID_OPTION', 'Option') {}

/** An argument of a job call has a wrong value. Nothing was stored or changed. */
export class FST_ERR_JOB_INVALID_ARGUMENT extends createInvalidError('FST_ERR_JOB_INVALID_ARGUMENT', 'Argument') {}

/** A package that jobs need is not installed. */
export const FST_ERR_JOB_MISSING_PACKAGE = createError<'FST_ERR_JOB_MISSING_PACKAGE', [name: string, install: string, options?: ErrorOptions]>(
  'FST_ERR_JOB_MISSING_PACKAGE', "Jobs need the package '%s': npm install %s", 500)

/** The kind was defined before. */
export const FST_ERR_JOB_KIND_ALREADY_DEFINED = createError<'FST_ERR_JOB_KIND_ALREADY_DEFINED', [kind: string]>(
  'FST_ERR_JOB_KIND_ALREADY_DEFINED', "Job kind '%s' is already defined", 500)

/** `defineJob` was called after the app was ready: this process may have treated jobs of the kind as unknown. */
export const FST_ERR_JOB_DEFINED_TOO_LATE = createError<'FST_ERR_JOB_DEFINED_TOO_LATE', [kind: string]>(
  'FST_ERR_JOB_DEFINED_TOO_LATE', "Job kind '%s' must be defined before the app is ready", 500)

/** No such kind was defined in this process. */
export class FST_ERR_JOB_UNKNOWN_KIND extends createError<'FST_ERR_JOB_UNKNOWN_KIND', [kind: string]>(
  'FST_ERR_JOB_UNKNOWN_KIND', "Job kind '%s' is not defined", 400) {}

/** The data of a job is not JSON, has more bytes than its `sizeLimit`, or does not pass the schema of its kind. Nothing was stored. */
export const FST_ERR_JOB_INVALID_DATA = createError<'FST_ERR_JOB_INVALID_DATA', [kind: string, problem: string]>(
  'FST_ERR_JOB_INVALID_DATA', "Data of a job of kind '%s' %s", 400)

/** A name has more than 1,000 characters, U+0000 or half of a surrogate pair; or data has the latter two, which PostgreSQL cannot hold. Nothing was stored. */
export const FST_ERR_JOB_INVALID_TEXT = createError<'FST_ERR_JOB_INVALID_TEXT', [problem: string, options?: ErrorOptions]>(
  'FST_ERR_JOB_INVALID_TEXT', 'The job store cannot store this string: %s', 400)

/** The name belongs to a live job, somewhere in the fleet. */
export const FST_ERR_JOB_NAME_IN_USE = createError<'FST_ERR_JOB_NAME_IN_USE', [name: string]>(
  'FST_ERR_JOB_NAME_IN_USE', "Job name '%s' is in use by a live job", 409)

/** No job of this name is live or kept. */
export const FST_ERR_JOB_NOT_FOUND = createError<'FST_ERR_JOB_NOT_FOUND', [name: string]>(
  'FST_ERR_JOB_NOT_FOUND', "Job '%s' was not found", 404)

/** The job is no longer live, so there is nothing to cancel or renew. */
export const FST_ERR_JOB_NOT_LIVE = createError<'FST_ERR_JOB_NOT_LIVE', [name: string, state: string]>(
  'FST_ERR_JOB_NOT_LIVE', "Job '%s' is no longer live: %s", 409)

/** The job has no lease to renew. */
export const FST_ERR_JOB_NO_LEASE = createError<'FST_ERR_JOB_NO_LEASE', [name: string]>(
  'FST_ERR_JOB_NO_LEASE', "Job '%s' has no lease: it was added without a ttl", 409)

/** Jobs were asked for before the app was ready. */
export const FST_ERR_JOBS_NOT_READY = createError<'FST_ERR_JOBS_NOT_READY', []>(
  'FST_ERR_JOBS_NOT_READY', 'Jobs are not open yet: wait until the app is ready', 500)

/** The app has closed its jobs: none is added, and nothing here waits any longer. The jobs continue in other processes. */
export const FST_ERR_JOBS_CLOSED = createError<'FST_ERR_JOBS_CLOSED', []>(
  'FST_ERR_JOBS_CLOSED', 'Jobs are closed: the app is shutting down', 503)

/** The job store does not respond. Its own error is the `cause`. */
export const FST_ERR_JOB_ENGINE_UNAVAILABLE = createError<'FST_ERR_JOB_ENGINE_UNAVAILABLE', [options?: ErrorOptions]>(
  'FST_ERR_JOB_ENGINE_UNAVAILABLE', 'The job store is unavailable', 503)

/** The job was cancelled and is still running `cancelTimeout` later. The cancel request remains in effect. */
export const FST_ERR_JOB_CANCEL_TIMEOUT = createError<'FST_ERR_JOB_CANCEL_TIMEOUT', [name: string, timeout: number]>(
  'FST_ERR_JOB_CANCEL_TIMEOUT', "Job '%s' is still running %d ms after it was cancelled", 504)

/**
 * A job that was waited for is gone, and how it ended is not known: its record was removed by hand, or long ago. It may
 * have completed: do not treat it as failed or cancelled.
 */
export const FST_ERR_JOB_RECORD_GONE = createError<'FST_ERR_JOB_RECORD_GONE', [name: string]>(
  'FST_ERR_JOB_RECORD_GONE', "The record of job '%s' is gone: how it ended is not known", 410)

/** The job has not ended within the `timeout` of `wait`. The job continues. */
export const FST_ERR_JOB_WAIT_TIMEOUT = createError<'FST_ERR_JOB_WAIT_TIMEOUT', [name: string, timeout: number]>(
  'FST_ERR_JOB_WAIT_TIMEOUT', "Job '%s' has not ended within %d ms", 504)

/** No such queue is listed by the plugin's `queues`, nor named by a kind of this process. */
export const FST_ERR_JOB_UNKNOWN_QUEUE = createError<'FST_ERR_JOB_UNKNOWN_QUEUE', [queue: string]>(
  'FST_ERR_JOB_UNKNOWN_QUEUE', "Job queue '%s' is not known", 404)

/** Only a job that has failed can be retried. */
export const FST_ERR_JOB_NOT_FAILED = createError<'FST_ERR_JOB_NOT_FAILED', [name: string, state: string]>(
  'FST_ERR_JOB_NOT_FAILED', "Job '%s' cannot be retried: it is %s", 409)

/** The store answers, and cannot be used as it is set up. No later attempt will change that. */
export const FST_ERR_JOB_INVALID_STORE = createError<'FST_ERR_JOB_INVALID_STORE', [problem: string]>(
  'FST_ERR_JOB_INVALID_STORE', 'The job store cannot be used as it is set up: %s', 500)

/** An attempt took longer than the `timeout` of its kind. */
export const FST_ERR_JOB_TIMEOUT = createError<'FST_ERR_JOB_TIMEOUT', [name: string, timeout: number]>(
  'FST_ERR_JOB_TIMEOUT', "Job '%s' took longer than %d ms", 504)

/** What waiting for a failed job rejects with. Carries the message of the handler's error, and its code if it had one. */
export const FST_ERR_JOB_FAILED = createPlainError<string, [message: string]>('FST_ERR_JOB_FAILED', '%s', 500)

/** What waiting for a cancelled job rejects with. Its `name` is `AbortError`, its `cause` the reason. */
export class FST_ERR_JOB_CANCELLED extends createError<'FST_ERR_JOB_CANCELLED', [name: string, options?: ErrorOptions]>(
  'FST_ERR_JOB_CANCELLED', "Job '%s' was cancelled", 503) {
  override name = 'AbortError'
}

/** What waiting for a job rejects with if no process started it within its `expiresIn`. Its `name` is `AbortError`. */
export class FST_ERR_JOB_EXPIRED extends createError<'FST_ERR_JOB_EXPIRED', [name: string]>(
  'FST_ERR_JOB_EXPIRED', "Job '%s' was cancelled: no process started it in time", 503) {
  override name = 'AbortError'
}

/** A stored record does not describe a job that can be started. It fails at once, and is not tried again. */
export const FST_ERR_JOB_INVALID_RECORD = createError<'FST_ERR_JOB_INVALID_RECORD', [problem: string]>(
  'FST_ERR_JOB_INVALID_RECORD', 'The record of the job cannot be run: %s', 500)

/** The routes, the feed or the dashboard was registered without `onRequest`. Nothing was registered. */
export const FST_ERR_TASK_UNPROTECTED = createError<'FST_ERR_TASK_UNPROTECTED', [plugin: string]>(
  'FST_ERR_TASK_UNPROTECTED', "%s needs the option 'onRequest': an onRequest hook (or a list) that authenticates the request, such as { onRequest: app.verifyBearerAuth }, or [] to leave it open to everybody", 500, TypeError)

/** The task has no lease to renew. */
export const FST_ERR_TASK_NO_LEASE = createError<'FST_ERR_TASK_NO_LEASE', [name: string]>(
  'FST_ERR_TASK_NO_LEASE', "Task '%s' has no lease: it was added without a ttl", 409)

/** The routes, the feed or the dashboard is to serve jobs, and `fastify-tasks/jobs` was not registered before them. */
export const FST_ERR_TASK_MISSING_JOBS = createError<'FST_ERR_TASK_MISSING_JOBS', []>(
  'FST_ERR_TASK_MISSING_JOBS', "Register fastify-tasks/jobs before routes, feed or dashboard with { serve: 'jobs' }")

/** The feed needs the optional peer `@fastify/websocket`. */
export const FST_ERR_TASK_MISSING_WEBSOCKET = createError<'FST_ERR_TASK_MISSING_WEBSOCKET', [options?: ErrorOptions]>(
  'FST_ERR_TASK_MISSING_WEBSOCKET', 'The feed needs @fastify/websocket: npm install @fastify/websocket')

/** The feed needs another version of `@fastify/websocket`. */
export const FST_ERR_TASK_UNSUPPORTED_WEBSOCKET = createError<'FST_ERR_TASK_UNSUPPORTED_WEBSOCKET', [version: string]>(
  'FST_ERR_TASK_UNSUPPORTED_WEBSOCKET', 'The feed needs @fastify/websocket from 11.3.2 on, below 12, got %s: npm install @fastify/websocket@^11.3.2')

/** The `after` of a list is not a cursor: it must be the `next` of a page. */
export const FST_ERR_TASK_INVALID_CURSOR = createError<'FST_ERR_TASK_INVALID_CURSOR', []>(
  'FST_ERR_TASK_INVALID_CURSOR', "'after' must be the 'next' of a page before", 400)

/** The body sent to a control route is wrong: a member is unknown or has a wrong value, or nothing says which tasks are meant. Nothing was changed. */
export const FST_ERR_TASK_INVALID_BODY = createError<'FST_ERR_TASK_INVALID_BODY', [problem: string]>(
  'FST_ERR_TASK_INVALID_BODY', 'Invalid body: %s', 400)

/** The cancel reason if a request to the control routes gives none. Its `name` is `AbortError`. */
export class FST_ERR_TASK_CANCEL_REQUESTED extends createError<'FST_ERR_TASK_CANCEL_REQUESTED', []>(
  'FST_ERR_TASK_CANCEL_REQUESTED', 'Cancelled through the control routes', 503) {
  override name = 'AbortError'
}

/** A browser's request came from a page of another origin that is not in `allowedOrigins`. */
export const FST_ERR_TASK_ORIGIN_NOT_ALLOWED = createError<'FST_ERR_TASK_ORIGIN_NOT_ALLOWED', [origin: string, own: string]>(
  'FST_ERR_TASK_ORIGIN_NOT_ALLOWED', "Origin '%s' is not allowed: the app was requested as '%s'. Behind a proxy, forward the host and set Fastify's trustProxy, or list the origin in allowedOrigins", 403)

/** The feed was asked for by plain HTTP. */
export const FST_ERR_TASK_UPGRADE_REQUIRED = createError<'FST_ERR_TASK_UPGRADE_REQUIRED', []>(
  'FST_ERR_TASK_UPGRADE_REQUIRED', 'WebSocket upgrade required: connect with ws: or wss:', 426)
