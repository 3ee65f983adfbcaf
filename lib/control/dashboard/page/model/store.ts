import { isLive, keyOf, liveOf, noCounts, type Snapshot } from './snapshot'
import { namePrefix, naturalKey } from './names'

/** A task of the list. */
export interface Row {
  readonly key: string
  /** As it is. */
  task: Snapshot
  /** As the list shows it: while the list is paused, as it was then. `undefined` for one that came later. */
  shown: Snapshot | undefined
  /** When the snapshot came, in ms of the page's clock: what is left of a lease is counted from then. */
  seenAt: number
  /** The name in lower case. */
  search: string
  /** By what the list sorts names. */
  natural: string
  /** What the name shares with others, if it does. */
  prefix: string | undefined
  /** The value of the sort column, as of when the row was put into its place. */
  sortValue: number | string
  /** Whether the row has changed and must be put into its place anew. */
  dirty: boolean
  /** The last sync that listed it. */
  listedIn: number
  /** The last sync during which the feed told of it, and so knows it better than the list. */
  toldIn: number
  /** Gone from the server, but still shown by a paused list. */
  gone: boolean
}

/** The tasks that the page knows, and what has changed since it last looked. */
export class Store {
  readonly rows = new Map<string, Row>()
  /** Of all that is kept, whatever is shown. */
  readonly counts = noCounts()
  /** Rows to put into their places, or to remove from them, by the next look. */
  readonly changed = new Set<Row>()
  /** How many tasks each group has. */
  readonly groups = new Map<string, number>()
  #paused = false
  #sync = 0

  get paused (): boolean {
    return this.#paused
  }

  get live (): number {
    return liveOf(this.counts)
  }

  /** Takes what the feed tells. */
  told (task: Snapshot, now: number): void {
    const row = this.#put(task, now)
    row.toldIn = this.#sync
  }

  // --- sync: the list of the server against what is known ---

  /** Begins to compare with the server's list. What the feed tells from now on is newer than any page of it. */
  beginSync (): number {
    return ++this.#sync
  }

  /** Takes a page of the list. */
  listed (tasks: Snapshot[], now: number): void {
    for (const task of tasks) {
      const known = this.rows.get(keyOf(task))
      if (known !== undefined && known.toldIn === this.#sync && !known.gone) continue
      this.#put(task, now).listedIn = this.#sync
    }
  }

  /** Forgets what neither the list nor the feed has named since {@link beginSync}, of those that the list was asked for. */
  endSync (asked: (task: Snapshot) => boolean): void {
    for (const row of this.rows.values()) {
      if (!row.gone && row.listedIn !== this.#sync && row.toldIn !== this.#sync && asked(row.task)) this.#remove(row)
    }
  }

  /** Forgets the tasks of a process that is out of reach. */
  forget (process: string): void {
    for (const row of this.rows.values()) if (!row.gone && row.task.process?.id === process) this.#remove(row)
  }

  // --- pause ---

  /** From now on the rows that are shown stay as they are; the counts go on. */
  pause (): void {
    this.#paused = true
  }

  resume (): void {
    this.#paused = false
    for (const row of this.rows.values()) {
      const shown = row.gone ? undefined : row.task
      if (row.gone) this.rows.delete(row.key)
      if (row.shown === shown) continue
      row.shown = shown
      this.changed.add(row)
    }
  }

  // --- changes ---

  #put (task: Snapshot, now: number): Row {
    const key = keyOf(task)
    const known = this.rows.get(key)
    if (known === undefined) return this.#add(key, task, now)
    if (known.gone) known.gone = false
    else this.#count(known.task, -1)
    this.#count(task, 1)
    known.task = task
    known.seenAt = now
    if (!this.#paused) {
      known.shown = task
      this.changed.add(known)
    }
    return known
  }

  #add (key: string, task: Snapshot, now: number): Row {
    const row: Row = {
      key,
      task,
      shown: this.#paused ? undefined : task,
      seenAt: now,
      search: task.name.toLowerCase(),
      natural: naturalKey(task.name),
      prefix: namePrefix(task.name),
      sortValue: 0,
      dirty: false,
      listedIn: 0,
      toldIn: 0,
      gone: false
    }
    this.rows.set(key, row)
    this.#count(task, 1)
    if (!this.#paused) this.changed.add(row)
    return row
  }

  #remove (row: Row): void {
    this.#count(row.task, -1)
    if (this.#paused && row.shown !== undefined) {
      row.gone = true
      return
    }
    this.rows.delete(row.key)
    row.shown = undefined
    this.changed.add(row)
  }

  #count (task: Snapshot, by: 1 | -1): void {
    this.counts[task.state] += by
    if (task.group === undefined) return
    const left = (this.groups.get(task.group) ?? 0) + by
    if (left === 0) this.groups.delete(task.group)
    else this.groups.set(task.group, left)
  }
}

/** When the row's lease expires unless it is renewed, in ms of the page's clock. `undefined` without a lease that runs. */
export function leaseEnd ({ task, seenAt }: Pick<Row, 'task' | 'seenAt'>): number | undefined {
  const remaining = task.lease?.remaining
  return remaining === undefined || !isLive(task) ? undefined : seenAt + remaining
}
