/** What happened within one second. */
interface Second {
  started: number
  completed: number
  failed: number
  cancelled: number
  /** How many ran at its end. `null` when the page was not connected: then nobody knows. */
  running: number | null
}

export interface Happened { started: number, completed: number, failed: number, cancelled: number }

export const WINDOW = 300

const empty = (): Second => ({ started: 0, completed: 0, failed: 0, cancelled: 0, running: null })

/** The last five minutes, second by second, as far as the page was connected. */
export class History {
  /** Of the last second; the list ends with it. */
  now: number
  #seconds: Second[] = Array.from({ length: WINDOW }, empty)

  constructor (now: number) {
    this.now = Math.floor(now / 1000)
  }

  /** From the oldest to the current second. */
  get seconds (): readonly Second[] {
    return this.#seconds
  }

  get current (): Second {
    return this.#seconds[WINDOW - 1]
  }

  /** How many seconds of the window the page was connected. */
  get known (): number {
    return this.#seconds.reduce((sum, { running }) => running === null ? sum : sum + 1, 0)
  }

  /**
   * Moves on to this time. `running` is `null` while the page is not connected. Seconds that were passed over, by a browser that
   * sleeps say, count as connected if the seconds around them are: an event would have come.
   */
  advance (now: number, running: number | null): void {
    const second = Math.floor(now / 1000)
    // A clock that was set back, or one set ahead by far: what is known belongs to no time any more.
    if (second < this.now || second - this.now > WINDOW) this.#seconds = Array.from({ length: WINDOW }, empty)
    else {
      const before = running === null ? null : this.current.running
      while (this.now < second) {
        this.now++
        this.#seconds.shift()
        this.#seconds.push({ ...empty(), running: before })
      }
    }
    this.now = second
    this.current.running = running
  }

  add (what: keyof Happened): void {
    this.current[what]++
  }

  /** What happened within the window. */
  total (): Happened {
    return sum(this.#seconds)
  }

  /**
   * The window in whole steps of so many seconds, on the marks of the clock. What happened is `null` when no second of the step is
   * known. The step that is not over yet is left out: it would look like a fall.
   */
  steps (size: number): Array<{ at: number, happened: Happened | null }> {
    const steps: Array<{ at: number, happened: Happened | null }> = []
    const first = this.now - WINDOW + 1
    for (let at = Math.ceil(first / size) * size; at + size <= this.now; at += size) {
      const known = this.#seconds.slice(at - first, at - first + size).filter(({ running }) => running !== null)
      steps.push({ at, happened: known.length === 0 ? null : sum(known) })
    }
    return steps
  }
}

function sum (seconds: readonly Happened[]): Happened {
  const total = { started: 0, completed: 0, failed: 0, cancelled: 0 }
  for (const second of seconds) {
    for (const key of Object.keys(total) as Array<keyof Happened>) total[key] += second[key]
  }
  return total
}
