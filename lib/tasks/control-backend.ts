import {
  FST_ERR_TASK_CANCEL_REQUESTED, FST_ERR_TASK_INVALID_BODY, FST_ERR_TASK_INVALID_CURSOR,
  FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE
} from '../shared/errors'
import { contains, EVENTS, MAX_GROUPS, type Cancelled, type ControlBackend, type ControlEvent, type ControlFilter, type ListQuery, type LiveEntry, type Page, type Snapshot, type Summary } from '../shared/control-backend'
import { processNumbers } from '../shared/process-info'
import { timers } from '../shared/timers'
import type { ProcessIdentity } from '../../types/process'
import type { TaskRegistry } from './registry'
import { Task } from './task'
import { allEnded } from './waiting'

/** How long a walk through the tasks may block the event loop, in ms. */
const SLICE = 2
/** How many tasks are cancelled at a time. */
const CANCEL_BATCH = 500
/** Of the tasks that a feed begins with. */
const LIVE_PAGE = 100

/** What routes, feed and dashboard serve with `serve: 'tasks'`: the tasks of this process. */
export class TasksBackend implements ControlBackend {
  /** Cursors are sequence numbers of tasks, behind what tells them from those of another process, or of the one before a restart. */
  private readonly mark: string

  constructor (private readonly registry: TaskRegistry, private readonly identity: ProcessIdentity) {
    this.mark = `${identity.id.slice(0, 8)}.`
  }

  get processId (): string {
    return this.identity.id
  }

  // --- queries ---

  async list ({ limit, after, ...filter }: ListQuery): Promise<Page> {
    const before = this.readCursor(after)
    const found: Task[] = []
    if (!this.matchesNone(filter)) {
      // One more than the page holds tells whether there is a next.
      for await (const tasks of this.walk(filter, before, limit + 1)) {
        found.push(...tasks)
        if (found.length > limit) break
      }
    }
    const tasks = found.slice(0, limit)
    const cursors = tasks.map((task) => this.mark + Task.sequenceOf(task))
    return { tasks: tasks.map((task) => task.toJSON()), cursors, next: found.length > limit ? cursors.at(-1) : undefined }
  }

  summary (): Summary {
    const groups = []
    for (const { name: group, tally: { counts } } of this.registry.groups) {
      if (groups.push({ group, counts }) === MAX_GROUPS) break
    }
    return { counts: this.registry.tally.counts, groups, process: processNumbers(this.identity) }
  }

  get (name: string): Snapshot {
    return withStack(this.find(name))
  }

  /** Yields after each batch, and after each {@link SLICE} without one: a rare match does not block the event loop. */
  private async * walk (filter: ControlFilter, before: number, batch: number): AsyncGenerator<Task[]> {
    for (let isLast = false; !isLast;) {
      const until = performance.now() + SLICE
      const found: Task[] = []
      let looked = 0
      isLast = true
      for (const task of this.newestFirst(filter, before)) {
        before = Task.sequenceOf(task)
        if (matches(task, filter)) found.push(task)
        if (found.length >= batch || (++looked % 128 === 0 && performance.now() > until)) {
          isLast = false
          break
        }
      }
      yield found
      if (!isLast) await new Promise<void>((resolve) => { timers.setImmediate(resolve, undefined) })
    }
  }

  private newestFirst ({ group, names }: ControlFilter, before: number): Iterable<Task> {
    if (names !== undefined) {
      const named = [...new Set(names)].map((name) => this.registry.get(name)).filter((task) => task !== undefined)
      return named.sort((one, other) => Task.sequenceOf(other) - Task.sequenceOf(one)).filter((task) => Task.sequenceOf(task) < before)
    }
    return group === undefined ? this.registry.newestFirst(before) : this.registry.groups.get(group)?.newestFirst(before) ?? []
  }

  /** Whether no task is in any of the states. */
  private matchesNone ({ states }: ControlFilter): boolean {
    const { counts } = this.registry.tally
    return states?.every((state) => counts[state] === 0) === true
  }

  /** @throws FST_ERR_TASK_INVALID_CURSOR */
  private readCursor (after: string | undefined): number {
    if (after === undefined) return Infinity
    const sequence = after.slice(this.mark.length)
    if (!after.startsWith(this.mark) || !/^[1-9]\d{0,14}$/.test(sequence)) throw new FST_ERR_TASK_INVALID_CURSOR()
    return Number(sequence)
  }

  private find (name: string): Task {
    const task = this.registry.get(name)
    if (task === undefined) throw new FST_ERR_TASK_NOT_FOUND(name)
    return task
  }

  // --- commands ---

  async cancel (name: string): Promise<Snapshot> {
    const task = this.find(name)
    if (!Task.isLive(task)) throw new FST_ERR_TASK_NOT_LIVE(name, task.state)
    // It rejects when the task has not stopped in time, which its state says too.
    await Task.cancelAndWait(task, new FST_ERR_TASK_CANCEL_REQUESTED()).catch(() => {})
    // This object: a task without a name of the caller's is removed by now, and a name may have been reused.
    return withStack(task)
  }

  async cancelAll (filter: ControlFilter, reason: string | undefined): Promise<Cancelled> {
    const { group, states, prefix, q, names } = filter
    if ([group, states, prefix, q, names].every((part) => part === undefined)) throw new FST_ERR_TASK_INVALID_BODY('an empty filter would cancel all tasks')
    const why = reason ?? new FST_ERR_TASK_CANCEL_REQUESTED()
    const cancelled: Task[] = []
    for await (const tasks of this.walk(filter, Infinity, CANCEL_BATCH)) {
      for (const task of tasks) {
        if (!Task.isLive(task)) continue
        Task.cancel(task, why)
        cancelled.push(task)
      }
    }
    await this.registry.nextImmediate()
    const remaining = await allEnded(cancelled, this.registry.cancelTimeout)
    return { cancelled: cancelled.length - remaining.length, remaining: remaining.map((task) => Task.nameOf(task)) }
  }

  heartbeat (name: string): void {
    const task = this.find(name)
    if (!task.heartbeat()) throw new FST_ERR_TASK_NOT_LIVE(name, task.state)
    if (Task.peek(task)?.lease === undefined) throw new FST_ERR_TASK_NO_LEASE(name)
  }

  purge (): { purged: number } {
    return { purged: this.registry.purge() }
  }

  // --- for the feed ---

  * live (filter: ControlFilter): Generator<LiveEntry[]> {
    const [newest] = this.registry.newestFirst()
    const last = newest === undefined ? 0 : Task.sequenceOf(newest)
    let after = 0
    // Tasks that are added from now on are reported by events.
    while (after < last) {
      const page: Task[] = []
      let looked = 0
      let next = last
      for (const task of this.registry.oldestFirst(after)) {
        const sequence = Task.sequenceOf(task)
        if (sequence > last) break
        if (page.length === LIVE_PAGE || looked++ === 10 * LIVE_PAGE) {
          next = after
          break
        }
        after = sequence
        if (Task.isLive(task) && matches(task, filter)) page.push(task)
      }
      after = next
      yield page
    }
  }

  subscribe (listener: (event: ControlEvent, entry: LiveEntry) => void): () => void {
    const { view } = this.registry
    const listeners = EVENTS.map((event) => [event, (task: LiveEntry) => listener(event, task)] as [never, never])
    for (const [event, call] of listeners) view.on(event, call)
    return () => { for (const [event, call] of listeners) view.off(event, call) }
  }
}

function matches ({ name, state, group }: Task, filter: ControlFilter): boolean {
  return (filter.states === undefined || filter.states.includes(state)) &&
    (filter.group === undefined || filter.group === group) &&
    (filter.prefix === undefined || name.startsWith(filter.prefix)) &&
    (filter.q === undefined || contains(name, filter.q))
}

function withStack (task: Task): Snapshot {
  const snapshot = task.toJSON()
  return task.state !== 'failed' ? snapshot : { ...snapshot, error: { ...snapshot.error!, stack: stackOf(task.error) } }
}

/** Anything can be thrown, including a value whose getters throw. */
function stackOf (thrown: unknown): string | undefined {
  try {
    const { stack } = thrown as Error
    return typeof stack === 'string' ? stack : undefined
  } catch {
    return undefined
  }
}
