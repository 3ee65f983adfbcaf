import type { FastifyInstance } from 'fastify'
import type { JobSnapshot } from '../../types/job-snapshot'
import type { TaskSnapshot, TaskState } from '../../types/task'
import type { ProcessIdentity } from '../../types/process'
import type { ProcessNumbers } from './process-info'

/** In the order of a task's life. */
export const STATES: readonly TaskState[] = ['pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled']
export const LIVE_STATES = STATES.slice(0, 3)
/** What happens to a task or a job. */
export const EVENTS = ['start', 'progress', 'end'] as const

/** A task or a job as JSON, the process it lives in where several are served, and the stack of its error where one task is asked for. */
export type Snapshot = (TaskSnapshot | JobSnapshot) & {
  group?: string
  process?: ProcessIdentity
  error?: { code?: string, message: string, stack?: string }
}

/** Which tasks are meant: those that match every member that is set. */
export interface ControlFilter {
  states?: readonly TaskState[]
  group?: string
  /** What the name begins with. */
  prefix?: string
  /** What the name contains, in upper or lower case. */
  q?: string
  /** The names themselves: for those that no URL can hold, such as `.`. */
  names?: readonly string[]
  /** The `id` of a process. */
  process?: string
}

export interface ListQuery extends ControlFilter {
  /** The most tasks in the page. */
  limit: number
  /** The `next` of the page before. A backend makes cursors and reads them; for everyone else they are opaque. */
  after?: string
}

/** A page of tasks, the newest first. A task that is live throughout is in exactly one of the pages of a walk. */
export interface Page {
  tasks: Snapshot[]
  /** The cursor of the next page, if there may be one. A page may hold fewer than `limit` tasks, and still have a next. */
  next?: string
  /** For each task the cursor that continues behind it, from backends whose pages are merged with those of others. */
  cursors?: string[]
  /** The ids of processes that have not answered in time. */
  missing?: string[]
}

/** How many there are in each state. */
export type Counts = Record<TaskState, number>

export const MAX_GROUPS = 1_000

export interface Summary {
  counts: Counts
  /** The groups that have tasks or limits, at most {@link MAX_GROUPS}. */
  groups: Array<{ group: string, counts: Counts }>
  /** The process that answers. */
  process: ProcessNumbers
  /** With several processes, each that has answered. */
  processes?: ProcessNumbers[]
  /** Of jobs: the queues, and the schedules with their next run. */
  queues?: Array<{ queue: string, paused: boolean, counts: Record<string, number> }>
  schedules?: Array<{ name: string, kind: string, queue?: string, pattern?: string, every?: number, tz?: string, next?: number }>
  missing?: string[]
}

export interface Cancelled {
  /** How many have stopped. */
  cancelled: number
  /** The names of those that have not stopped within `cancelTimeout`. */
  remaining: string[]
  missing?: string[]
}

interface Purged {
  purged: number
  missing?: string[]
}

/** A live task or job while a feed sends it. `toJSON` gives its newest state that is known here, with `endedAt` once it has ended. */
export interface LiveEntry {
  readonly name: string
  readonly createdAt: number
  toJSON (): Snapshot
}

/** One task or job, and the processes that may have another of this name but have not answered in time. */
export type Found = Snapshot & { missing?: string[] }

/** `snapshot`: one that was live before, in a process that has come (back) into reach. Else what has happened. */
export type ControlEvent = 'snapshot' | typeof EVENTS[number]

/**
 * What routes, feed and dashboard serve. They work on snapshots only, never on thenable tasks.
 * A backend throws errors with a status code; they are the answers of the routes. No member may cost more than a page at a
 * time: what has to look at many tasks yields to the event loop in between.
 *
 * `process`, where it is taken, is the `id` of one process. Left out, all processes are meant.
 */
export interface ControlBackend {
  /** It serves several processes, and some may not answer. */
  readonly spansProcesses?: true
  /** The `id` of the process whose tasks these are, if it serves one. */
  readonly processId?: string
  /** @throws with 400 for a cursor that it did not make */
  list (query: ListQuery): Page | Promise<Page>
  summary (): Summary | Promise<Summary>
  /** With the stack of its error, if it has one, as `error.stack`. @throws with 404 if there is none */
  get (name: string, process?: string): Found | Promise<Found>
  /**
   * Cancels and waits.
   * @returns how it ended, or how it is when it has not stopped in time: then its state is `cancelling`
   * @throws with 404 if there is none, with 409 if it has ended
   */
  cancel (name: string, process?: string): Promise<Found>
  /** Cancels all that are live and match, and waits for them within one `cancelTimeout`. @throws with 400 for an empty filter */
  cancelAll (filter: ControlFilter, reason?: string): Promise<Cancelled>
  /** @throws with 404 if there is none, with 409 if it is no longer live or has no lease */
  heartbeat (name: string, process?: string): void | Promise<void>
  /** Removes the ended. */
  purge (process?: string): Purged | Promise<Purged>

  /**
   * For the feed: the live ones that match, in pages of some hundred, each read when it is asked for. One that is live
   * throughout is in exactly one of them.
   */
  live (filter: Pick<ControlFilter, 'group' | 'prefix' | 'process'>): Iterable<LiveEntry[]> | AsyncIterable<LiveEntry[]>
  /**
   * For the feed: calls the listener with every event from now on. Costs nothing before the first call and after the last
   * unsubscribe. `onGone` is called when a process has ended or is out of reach, or when events of it were lost: what was
   * known of its tasks no longer holds. Those that are live follow as `snapshot` when it is in reach.
   * @returns what unsubscribes
   */
  subscribe (listener: (event: ControlEvent, entry: LiveEntry) => void, onGone?: (process: ProcessIdentity) => void): () => void
  /**
   * Called when a plugin of this process may send error text (`exposeErrors`). Without the call, other processes send none.
   * A backend of this process alone does not need it.
   */
  exposeErrors? (): void

  // For jobs alone. Without the method there is no such route.

  /** Resolves once it is stored. @throws with 400, 409 or 503 */
  add? (kind: string, data: unknown, options: { name?: string, ttl?: number }): Promise<Snapshot>
  /** Runs a failed one again, under its name. @throws with 404 if there is none, with 409 if it has not failed or its name is taken */
  retry? (name: string): Promise<Snapshot>
  /** Pauses a queue, or all of them, in every process. @throws with 404 for an unknown queue */
  pause? (queue?: string): Promise<void>
  resume? (queue?: string): Promise<void>
}

/** What `fastify-tasks` decorates the app with: the {@link ControlBackend} for tasks. */
export const kTasksControlBackend = Symbol.for('fastify-tasks.tasks-control-backend')

/** What `fastify-tasks/jobs` decorates the app with, so that the routes serve jobs without loading an engine. */
export const kJobsControlBackend = Symbol.for('fastify-tasks.jobs-control-backend')

/** @returns `undefined` if the app, and its parents, have none */
export function controlBackendOf (app: FastifyInstance, key: symbol): ControlBackend | undefined {
  // Not `getDecorator`: Fastify 5.0 has none.
  return (app as unknown as Record<symbol, ControlBackend | undefined>)[key]
}

/** Whether a name has this in it, for people who search: in upper or lower case. */
export function contains (name: string, q: string): boolean {
  return name.toLowerCase().includes(q.toLowerCase())
}
