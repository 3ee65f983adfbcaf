/** How long the messages of the feed may be worked on before the browser draws, in ms. */
const BUDGET = 8

/** The messages of the feed, which are worked on at most once a frame. */
export class FeedQueue {
  readonly #messages: string[] = []
  #scheduled = false

  /** @param flushed is called once a frame, with the number of messages that were taken */
  constructor (private readonly take: (message: string) => void, private readonly flushed: (taken: number) => void) {
    document.addEventListener('visibilitychange', () => this.schedule())
  }

  push (message: string): void {
    this.#messages.push(message)
    this.schedule()
  }

  schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    // A page that is not seen is not drawn, yet its messages must not pile up.
    if (document.hidden) setTimeout(() => this.#flush(), 500)
    else requestAnimationFrame(() => this.#flush())
  }

  #flush (): void {
    this.#scheduled = false
    const until = performance.now() + BUDGET
    let taken = 0
    while (taken < this.#messages.length && (document.hidden || performance.now() < until)) this.take(this.#messages[taken++])
    this.#messages.splice(0, taken)
    this.flushed(taken)
    if (this.#messages.length > 0) this.schedule()
  }
}
