// Fewer removed entries than this are not worth a compaction.
const MIN_REMOVED = 32

/**
 * What is kept, in the order added, each under a sequence number that is never used again. Entries are read newest first from any
 * number on, and adding and removing cost the same however many there are.
 *
 * An array whose removed entries leave their number behind. When half of it is numbers, they are taken out.
 */
export class OrderedLog<T extends object> {
  readonly #entries: Array<T | number> = []
  #removed = 0
  #last = 0

  constructor (private readonly sequenceOf: (entry: T) => number) {}

  /** @returns its sequence number, which `sequenceOf` must tell from then on */
  append (entry: T): number {
    this.#entries.push(entry)
    return ++this.#last
  }

  remove (entry: T): void {
    const entries = this.#entries
    const sequence = this.sequenceOf(entry)
    entries[this.indexOf(sequence)] = sequence
    this.#removed++
    while (typeof entries.at(-1) === 'number') {
      entries.pop()
      this.#removed--
    }
    if (this.#removed > MIN_REMOVED && this.#removed * 2 > entries.length) this.compact()
  }

  /** Those added before the sequence number, the newest first. Nothing may be removed during the walk. */
  * newestFirst (before = Infinity): IterableIterator<T> {
    for (let i = this.indexOf(before) - 1; i >= 0; i--) {
      const entry = this.#entries[i]
      if (typeof entry !== 'number') yield entry
    }
  }

  /** Those added after the sequence number, the oldest first. Nothing may be removed during the walk. */
  * oldestFirst (after: number): IterableIterator<T> {
    const entries = this.#entries
    for (let i = this.indexOf(after + 1); i < entries.length; i++) {
      const entry = entries[i]
      if (typeof entry !== 'number') yield entry
    }
  }

  /** The index of the first entry whose sequence number is not lower. */
  private indexOf (sequence: number): number {
    const { length } = this.#entries
    if (length === 0 || sequence > this.sequenceAt(length - 1)) return length
    // The numbers rise by one or more: without gaps, both bounds are the index.
    let low = Math.max(0, length - 1 - (this.sequenceAt(length - 1) - sequence))
    let high = Math.min(length - 1, sequence - this.sequenceAt(0))
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.sequenceAt(middle) < sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  private sequenceAt (index: number): number {
    const entry = this.#entries[index]
    return typeof entry === 'number' ? entry : this.sequenceOf(entry)
  }

  private compact (): void {
    const entries = this.#entries
    let kept = 0
    for (const entry of entries) if (typeof entry !== 'number') entries[kept++] = entry
    entries.length = kept
    this.#removed = 0
  }
}
