import { isLive, type Snapshot, type State } from './snapshot'
import { naturalKey } from './names'
import { leaseEnd, type Row, type Store } from './store'

export interface Filter {
  /** Anywhere in the name, whatever its case. */
  q: string
  state: '' | 'live' | 'ended' | State
  group: string
  /** What the name begins with, letter by letter. */
  prefix: string
  /** The id of a process. */
  process: string
}

export const NO_FILTER: Filter = { q: '', state: '', group: '', prefix: '', process: '' }

/** `attention`: live and failed ones first, the latest of them on top. */
export type SortColumn = 'attention' | 'name' | 'state' | 'group' | 'process' | 'added' | 'duration' | 'progress' | 'lease' | 'outcome'

export const SORT_COLUMNS: SortColumn[] = ['attention', 'name', 'state', 'group', 'process', 'added', 'duration', 'progress', 'lease', 'outcome']

export interface Sort { by: SortColumn, descending: boolean }

export const DEFAULT_SORT: Sort = { by: 'attention', descending: true }

/** What a click on a column sorts first: the newest, the longest, the furthest; names from A to Z. */
export const startsDescending = (by: SortColumn): boolean => by === 'attention' || by === 'added' || by === 'duration' || by === 'progress'

const STATE_ORDER: Record<State, number> = { failed: 0, cancelling: 1, running: 2, pending: 3, cancelled: 4, completed: 5 }

/** Sorted after every other text, whatever the direction. */
const NOTHING = ''

export function matches (task: Snapshot, search: string, { q, state, group, prefix, process }: Filter): boolean {
  if (state !== '' && state !== task.state && !(state === 'live' ? isLive(task) : state === 'ended' && !isLive(task))) return false
  if (group !== '' && task.group !== group) return false
  if (process !== '' && task.process?.id !== process) return false
  return task.name.startsWith(prefix) && (q === '' || search.includes(q.toLowerCase()))
}

export function durationOf ({ startedAt, endedAt }: Snapshot, now: number): number | undefined {
  return startedAt === undefined ? undefined : Math.max(0, (endedAt ?? now) - startedAt)
}

/** Why a task ended as it did, in one line. */
export function outcomeOf ({ error, reason }: Snapshot): string {
  return reason?.message ?? reason?.code ?? error?.message ?? error?.code ?? ''
}

function sortValue (row: Row, by: SortColumn, now: number): number | string {
  const task = row.shown!
  switch (by) {
    case 'attention': return isLive(task) ? task.createdAt : task.state === 'failed' ? task.endedAt ?? 0 : (task.endedAt ?? 0) - 1e15
    case 'name': return row.natural
    case 'state': return STATE_ORDER[task.state]
    case 'group': return task.group === undefined ? NOTHING : naturalKey(task.group)
    case 'process': return task.process === undefined ? NOTHING : `${task.process.hostname} ${task.process.pid}`
    case 'added': return task.createdAt
    case 'duration': return durationOf(task, now) ?? -1
    case 'progress': return typeof task.progress === 'number' ? task.progress : -1
    case 'lease': return leaseEnd({ task, seenAt: row.seenAt }) ?? Infinity
    case 'outcome': return outcomeOf(task).toLowerCase()
  }
}

const order = (a: string, b: string): number => a < b ? -1 : 1

/** The rows of the store that match the filter, sorted. A change of few costs one pass over all, not a sort. */
export class View {
  rows: Row[] = []
  /** How many of them are live. Of the tasks as they are, also when the list is paused. */
  #store: Store
  #filter: Filter = NO_FILTER
  #sort: Sort = DEFAULT_SORT

  constructor (store: Store) {
    this.#store = store
  }

  /** Shows what matches the filter, by this order. */
  set (filter: Filter, sort: Sort, now: number): void {
    this.#filter = filter
    this.#sort = sort
    this.rebuild(now)
  }

  /** Sorts anew: what some columns show changes with time. */
  rebuild (now: number): void {
    this.#store.changed.clear()
    this.rows = this.#sorted(this.#store.rows.values(), now)
  }

  /** Puts what has changed into its place. @returns whether anything had */
  update (now: number): boolean {
    const { changed } = this.#store
    if (changed.size === 0) return false
    for (const row of changed) row.dirty = true
    const kept = this.rows.filter((row) => !row.dirty)
    this.rows = this.#merge(kept, this.#sorted(changed, now))
    for (const row of changed) row.dirty = false
    changed.clear()
    return true
  }

  #sorted (rows: Iterable<Row>, now: number): Row[] {
    const found: Row[] = []
    for (const row of rows) {
      if (row.shown === undefined || !matches(row.shown, row.search, this.#filter)) continue
      row.sortValue = sortValue(row, this.#sort.by, now)
      found.push(row)
    }
    return found.sort(this.#compare)
  }

  #merge (left: Row[], right: Row[]): Row[] {
    if (right.length === 0) return left
    const merged: Row[] = new Array(left.length + right.length)
    let l = 0
    let r = 0
    for (let i = 0; i < merged.length; i++) {
      const takesLeft = r === right.length || (l < left.length && this.#compare(left[l], right[r]) <= 0)
      merged[i] = takesLeft ? left[l++] : right[r++]
    }
    return merged
  }

  #compare = (a: Row, b: Row): number => {
    if (a.sortValue !== b.sortValue) {
      if (a.sortValue === NOTHING || b.sortValue === NOTHING) return a.sortValue === NOTHING ? 1 : -1
      return (a.sortValue < b.sortValue) === this.#sort.descending ? 1 : -1
    }
    // The newest first, and one order for those of one moment.
    const newest = b.shown!.createdAt - a.shown!.createdAt
    if (newest !== 0) return newest
    return a.natural === b.natural ? order(a.key, b.key) : order(a.natural, b.natural)
  }
}
