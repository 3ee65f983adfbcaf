import type { Task } from './task'

/**
 * The named tasks that have ended, by age. Linked through the tasks themselves, because each step must cost the same
 * whatever their number: a Map is slow to tell its first entry after many deletions at its front.
 */
export class EndedTasks {
  size = 0
  oldest: Task | undefined = undefined
  private newest: Task | undefined = undefined

  push (task: Task): void {
    task.older = this.newest
    if (this.newest === undefined) this.oldest = task
    else this.newest.newer = task
    this.newest = task
    this.size++
  }

  remove (task: Task): void {
    if (task.older === undefined) this.oldest = task.newer
    else task.older.newer = task.newer
    if (task.newer === undefined) this.newest = task.older
    else task.newer.older = task.older
    task.older = task.newer = undefined
    this.size--
  }
}
