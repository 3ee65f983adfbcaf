import { Task } from './task'
import { timers } from '../shared/timers'

/** Waits until all of the tasks have ended, or for `timeout` ms. Resolves to those that have not. */
export async function allEnded (tasks: Task[], timeout: number): Promise<Task[]> {
  const live = tasks.filter((task) => Task.isLive(task))
  if (live.length > 0) {
    await within(timeout, (done) => {
      let left = live.length
      const onEnd = (): void => { if (--left === 0) done() }
      for (const task of live) Task.onEnd(task, onEnd)
    })
  }
  return live.filter((task) => Task.isLive(task))
}

/** Resolves when `done` is called, or after `timeout` ms. */
export async function within (timeout: number, work: (done: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = timers.setTimeout(resolve, timeout, undefined)
    work(() => {
      timers.clearTimeout(timer)
      resolve()
    })
  })
}
