import type { TaskState } from '../../types/task'
import { CANCELLING, PENDING, RUNNING } from './status'

/** How many tasks there are in each state, and who waits until none is live. */
export class Tally {
  readonly #counts = [0, 0, 0, 0, 0, 0]
  #idle: { promise: Promise<void>, resolve: () => void } | undefined

  constructor (private readonly nextImmediate: () => Promise<void>) {}

  get counts (): Record<TaskState, number> {
    const [pending, running, cancelling, completed, failed, cancelled] = this.#counts
    return { pending, running, cancelling, completed, failed, cancelled }
  }

  get live (): number {
    const counts = this.#counts
    return counts[PENDING] + counts[RUNNING] + counts[CANCELLING]
  }

  /** Whether a caller waits for {@link whenIdle}. */
  get isAwaited (): boolean {
    return this.#idle !== undefined
  }

  add (): void {
    this.#counts[PENDING]++
  }

  move (from: number, to: number): void {
    this.#counts[from]--
    this.#counts[to]++
    if (this.#idle !== undefined && this.live === 0) this.settleWhenStillIdle()
  }

  /** An ended task is forgotten. */
  remove (state: number): void {
    this.#counts[state]--
  }

  /** Resolves when no task is live, at once if so. Tasks added meanwhile count. */
  whenIdle (): Promise<void> {
    if (this.live === 0) return Promise.resolve()
    if (this.#idle === undefined) {
      let resolve!: () => void
      const promise = new Promise<void>((_resolve) => { resolve = _resolve })
      this.#idle = { promise, resolve }
    }
    return this.#idle.promise
  }

  private async settleWhenStillIdle (): Promise<void> {
    // Whoever awaited the last task may add another.
    await this.nextImmediate()
    if (this.live > 0) return
    // Undefined if tasks have ended twice in this immediate.
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
