import type { LiveEntry, Snapshot } from '../../shared/control-backend'

type Pages = Iterable<LiveEntry[]> | AsyncIterable<LiveEntry[]>

/** The way of one client through the tasks that were live when it came. It goes on as the client reads. */
export class SnapshotWalk {
  readonly #open: () => Pages
  #pages: Iterator<LiveEntry[]> | AsyncIterator<LiveEntry[]> | undefined
  readonly #onPage: (error?: unknown) => void
  /** What is left of the page, the next one last. */
  #page: LiveEntry[] = []
  /** What has had an event since the page was read: its client was sent something newer. */
  readonly #told = new Set<string>()
  #isReading = false
  #hasRead = false

  /** `onPage` is called when a page has come that had to be waited for, or with the error when one cannot be read. */
  constructor (open: () => Pages, onPage: (error?: unknown) => void) {
    this.#open = open
    this.#onPage = onPage
  }

  get hasEnded (): boolean {
    return this.#hasRead && this.#page.length === 0
  }

  /** Whether there is nothing to send before a page has come. */
  get isWaiting (): boolean {
    return this.#page.length === 0 && (this.#isReading || this.#hasRead)
  }

  /** @returns the task that {@link SnapshotWalk.advance} goes beyond; `undefined` if there is none now: a page may be empty, or late */
  get current (): LiveEntry | undefined {
    if (this.#page.length === 0 && !this.#isReading && !this.#hasRead) this.#read()
    while (this.#page.length > 0) {
      const entry = this.#page.at(-1)!
      if (this.#told.size === 0 || !this.#told.has(keyOf(entry.toJSON()))) return entry
      this.#page.pop()
    }
    return undefined
  }

  advance (): void {
    this.#page.pop()
  }

  /** There was an event of this task. */
  skip (snapshot: Snapshot): void {
    this.#told.add(keyOf(snapshot))
  }

  /** The client has left. */
  end (): void {
    this.#hasRead = true
    this.#page = []
    // Of an asynchronous one it may reject, which is of no interest any more.
    Promise.resolve(this.#pages?.return?.()).catch(() => {})
  }

  #read (): void {
    this.#told.clear()
    try {
      this.#pages ??= iteratorOf(this.#open())
      const step = this.#pages.next()
      if (!(step instanceof Promise)) return this.#take(step)
      this.#isReading = true
      step.then((step) => this.#take(step)).then(() => this.#onPage(), this.#onPage)
    } catch (error) {
      this.#hasRead = true
      this.#onPage(error)
    }
  }

  #take ({ done, value }: IteratorResult<LiveEntry[]>): void {
    this.#isReading = false
    if (done === true) this.#hasRead = true
    else if (!this.#hasRead) this.#page = [...value].reverse()
  }
}

function iteratorOf (pages: Pages): Iterator<LiveEntry[]> | AsyncIterator<LiveEntry[]> {
  return Symbol.asyncIterator in pages ? pages[Symbol.asyncIterator]() : pages[Symbol.iterator]()
}

/** A name that was freed and taken again is another task. */
function keyOf ({ name, createdAt, process }: Snapshot): string {
  return `${process?.id} ${createdAt} ${name}`
}
