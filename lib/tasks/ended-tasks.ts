import { Place } from './linked-list'
import type { Task } from './task'

/** The named tasks that have ended, by age. Not in a Map, which is slow to tell its first entry after many deletions at its front. */
export class EndedTasks {
  size = 0
  private readonly ring = new Place()

  get oldest (): Task | undefined {
    return this.ring.alone ? undefined : this.ring.next as Task
  }

  push (task: Task): void {
    this.ring.push(task)
    this.size++
  }

  remove (task: Task): void {
    task.leave()
    this.size--
  }
}
