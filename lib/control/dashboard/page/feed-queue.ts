/** How long the messages of the feed may be worked on before the browser draws, in ms. */
const BUDGET = 8

/** The messages of the feed, which are worked on at most once a frame. */
export class FeedQueue {
  readonly #messages: string[] = []
  /** Takes back what is scheduled. */
  #unschedule: (() => void) | undefined

  /** @param flushed is called once a frame, with the number of messages that were taken */
  constructor (private readonly take: (message: string) => void, private readonly flushed: (taken: number) => void) {
    document.addEventListener('visibilitychange', () => {
      this.#unschedule?.()
      this.#unschedule = undefined
      this.schedule()
    })
  }

  push (message: string): void {
    this.#messages.push(message)
    this.schedule()
  }

  schedule (): void {
    if (this.#unschedule !== undefined) return
    // A page that is not seen has no frames, yet its messages must not pile up.
    if (document.hidden) {
      const timer = setTimeout(() => this.#flush(), 500)
      this.#unschedule = () => clearTimeout(timer)
    } else {
      const frame = requestAnimationFrame(() => this.#flush())
      this.#unschedule = () => cancelAnimationFrame(frame)
    }
  }

  #flush (): void {
    this.#unschedule = undefined
    const until = performance.now() + BUDGET
    let taken = 0
    while (taken < this.#messages.length && (document.hidden || performance.now() < until)) this.take(this.#messages[taken++])
    this.#messages.splice(0, taken)
    this.flushed(taken)
    if (this.#messages.length > 0) this.schedule()
  }
}
