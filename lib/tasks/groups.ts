import { AsyncResource } from 'node:async_hooks'
import type { TaskGroupLimits } from '../../types/task'
import { FST_ERR_TASK_GROUP_ALREADY_DEFINED, FST_ERR_TASK_GROUP_FULL } from '../shared/errors'
import { LinkedList, LinkedNode } from './linked-list'
import { PENDING } from './status'
import { Tally } from './tally'
import { Task } from './task'
import { timers } from '../shared/timers'

/** A task as a member of its group, until the registry forgets the task. */
export class GroupMember extends LinkedNode {
  /** Whether it counts among those that `concurrency` lets run. Else it waits in the group's queue. */
  hasPlace = false
  /** The async context of the caller, set when only the limit keeps the task from starting. */
  parked: AsyncResource | undefined = undefined

  constructor (readonly task: Task, readonly group: TaskGroup) {
    super()
  }
}

/** The tasks that share a label, in the order added: the live ones, and those that have ended and are kept. */
export class TaskGroup {
  readonly tally: Tally
  readonly #members = new LinkedList<GroupMember>()
  /** Pending tasks without a place, linked themselves: a pending task is in no other list. */
  readonly #queue = new LinkedList<Task>()
  #queued = 0
  #places = 0
  #limits: TaskGroupLimits | undefined

  constructor (readonly name: string, nextImmediate: () => Promise<void>) {
    this.tally = new Tally(nextImmediate)
  }

  get isUnused (): boolean {
    return this.#members.isEmpty && this.#limits === undefined && !this.tally.isAwaited
  }

  /** Oldest first. */
  get tasks (): Task[] {
    return Array.from(this.#members, ({ task }) => task)
  }

  /** Those added before the sequence number, the newest first. Nothing may be added or removed during the walk. */
  * newestFirst (before = Infinity): IterableIterator<Task> {
    for (const { task } of this.#members.reversed()) if (Task.sequenceOf(task) < before) yield task
  }

  get #hasFreePlace (): boolean {
    return this.#places < (this.#limits?.concurrency ?? Infinity)
  }

  /** @throws FST_ERR_TASK_GROUP_FULL when one more task would have to wait, and `maxPending` does not allow it */
  checkRoom (): void {
    const { maxPending = Infinity } = this.#limits ?? {}
    if (!this.#hasFreePlace && this.#queued >= maxPending) throw new FST_ERR_TASK_GROUP_FULL(this.name, maxPending)
  }

  /** `isRunning`: it takes a place, beyond `concurrency` if need be */
  join (task: Task, { isRunning }: { isRunning: boolean }): GroupMember {
    const member = new GroupMember(task, this)
    this.#members.append(member)
    this.tally.add()
    if (isRunning || this.#hasFreePlace) this.give(member)
    else this.enqueue(member)
    return member
  }

  /**
   * Sets the limits. Tasks that run go on, however many they are; the others get what is left of the places in the order added.
   * @throws FST_ERR_TASK_GROUP_ALREADY_DEFINED
   */
  limit (limits: TaskGroupLimits): void {
    if (this.#limits !== undefined) throw new FST_ERR_TASK_GROUP_ALREADY_DEFINED(this.name)
    this.#limits = limits
    const waiting = Array.from(this.#members).filter(({ task }) => Task.stateOf(task) === PENDING)
    for (const member of waiting) member.hasPlace = false
    this.#places -= waiting.length
    for (const member of waiting) this.enqueue(member)
    this.promote()
  }

  /** The task has ended: the next one may start. */
  release (member: GroupMember): void {
    member.parked = undefined
    if (member.hasPlace) {
      this.#places--
      this.promote()
    } else {
      LinkedNode.unlink(member.task)
      this.#queued--
    }
  }

  /** The registry forgets the ended task. */
  leave (member: GroupMember): void {
    LinkedNode.unlink(member)
    this.tally.remove(Task.stateOf(member.task))
  }

  private give (member: GroupMember): void {
    member.hasPlace = true
    this.#places++
  }

  private enqueue (member: GroupMember): void {
    this.#queue.append(member.task)
    this.#queued++
  }

  private promote (): void {
    for (let task = this.#queue.first; task !== undefined && this.#hasFreePlace; task = this.#queue.first) {
      LinkedNode.unlink(task)
      this.#queued--
      const member = Task.peek(task)!.member!
      this.give(member)
      const { parked } = member
      member.parked = undefined
      // Undefined if its own immediate is still to come, which starts it.
      parked?.runInAsyncScope(timers.setImmediate, null, startTask, task)
    }
  }
}

/** Starts the task, unless it has to wait for a place in its group. For `setImmediate`. */
export function startTask (task: Task): void {
  const member = Task.peek(task)?.member
  if (member?.hasPlace !== false || Task.stateOf(task) !== PENDING) Task.start(task)
  else member.parked = new AsyncResource('FastifyTask')
}

/** The groups of an app. One without limits exists while a task has it. */
export class TaskGroups {
  readonly #groups = new Map<string, TaskGroup>()

  constructor (private readonly nextImmediate: () => Promise<void>) {}

  [Symbol.iterator] (): IterableIterator<TaskGroup> {
    return this.#groups.values()
  }

  get (name: string): TaskGroup | undefined {
    return this.#groups.get(name)
  }

  getOrCreate (name: string): TaskGroup {
    let group = this.#groups.get(name)
    if (group === undefined) this.#groups.set(name, group = new TaskGroup(name, this.nextImmediate))
    return group
  }

  /** The registry forgets the ended task. */
  leave (member: GroupMember): void {
    member.group.leave(member)
    this.prune(member.group)
  }

  /** Resolves when no task of the group is live. */
  async whenIdle (name: string): Promise<void> {
    const group = this.#groups.get(name)
    if (group === undefined) return
    await group.tally.whenIdle()
    this.prune(group)
  }

  private prune (group: TaskGroup): void {
    // Only if the entry is still this group: another may have been made since.
    if (group.isUnused && this.#groups.get(group.name) === group) this.#groups.delete(group.name)
  }
}
