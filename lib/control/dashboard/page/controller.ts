import { Api, RefusedError, type ProcessInfo, type Summary, type TaskRef } from './api'
import { Connection, explain } from './connection'
import { Emitter } from './emitter'
import { History } from './model/history'
import { writePlace, type Place } from './model/location'
import { isLive, isSnapshot, keyOf, noCounts, STATES, statesOf, type Counts, type Snapshot, type State } from './model/snapshot'
import { leaseEnd, Store, type Row } from './model/store'
import { View } from './model/view'

const POLL = 2_000
const PAGE = 1_000
/** The rows of a page, and how many requests may be made to fill it, where the server does the paging. */
const PAGE_ROWS = 100
const PAGE_REQUESTS = 10
/** How long a search waits for the next key, in ms, before the server is asked. */
const TYPING = 200
/** How long the messages of the feed may be worked on before the browser draws, in ms. */
const BUDGET = 8
/** How many leases are asked for at a time. */
const LEASES = 10

export type Served = 'tasks' | 'jobs'

/**
 * Everything between the server and what is drawn: the tasks, the connection, the address. All tasks are held here. Of jobs, of
 * which a store may have millions, only one page is: the server filters and pages them.
 */
export class Controller {
  readonly store = new Store()
  readonly view = new View(this.store)
  readonly history = new History(Date.now())
  readonly api: Api
  readonly connection: Connection
  /** The rows have changed: at most once a frame. */
  readonly onRows = new Emitter()
  /** Numbers may have changed: four times a second, and with the clock. */
  readonly onNumbers = new Emitter()
  /** The connection, the place or the pause is another. */
  readonly onPlace = new Emitter()
  place: Place
  summary: Summary = {}
  /** Processes that did not answer the last time they were asked. */
  missing: unknown[] = []
  /** Whether the whole list has been read since the connection was made. */
  loaded = false
  /** The rows that are in view: their leases are kept current. */
  inView: Row[] = []
  readonly #queue: string[] = []
  #scheduled = false
  #syncing = false
  #received = 0
  #numbersAt = 0
  /** The moment at which the clock of the rows stands still. */
  #frozenAt: number | undefined

  /** The cursors of the pages before this one, and of the next, where the server does the paging. */
  readonly #cursors: string[] = []
  #next: string | undefined
  #again = false
  #typing: ReturnType<typeof setTimeout> | undefined

  constructor (base: URL, readonly serves: Served, place: Place) {
    const path = serves === 'tasks' ? '' : 'jobs-'
    this.place = place
    this.api = new Api(new URL(`${path}api/`, base))
    this.connection = new Connection(this.api, new URL(`${path}feed`, base), {
      message: (data) => { this.#queue.push(data); this.#schedule() },
      opened: async () => { await this.sync() },
      changed: () => this.#statusChanged()
    })
    this.#setView()
    document.addEventListener('visibilitychange', () => this.#schedule())
    setInterval(() => this.#tick(), 1_000)
    setInterval(() => { this.#poll().catch(() => {}) }, POLL)
  }

  /** Whether the server filters and pages. */
  get paged (): boolean {
    return this.serves === 'jobs'
  }

  /** How one of them is called. */
  get noun (): string {
    return this.serves === 'tasks' ? 'task' : 'job'
  }

  /** Of all that is kept. */
  get counts (): Counts {
    return this.paged ? { ...noCounts(), ...this.summary.counts } : this.store.counts
  }

  get live (): boolean {
    return this.connection.status.state === 'live'
  }

  /** The server's time. It stands still while the page is not connected: nothing is known of what happens then. */
  get now (): number {
    return this.live || this.#frozenAt === undefined ? Date.now() + this.api.ahead : this.#frozenAt
  }

  /** The time that the rows are shown at. */
  get rowsNow (): number {
    return this.#pausedAt ?? this.now
  }

  #pausedAt: number | undefined

  /** What is left of a lease, in ms. */
  leaseLeft (row: Pick<Row, 'task' | 'seenAt'>): number | undefined {
    const end = leaseEnd(row)
    // Counted by this page's own clock, from when the snapshot came.
    return end === undefined ? undefined : Math.max(0, end - (this.rowsNow - this.api.ahead))
  }

  // --- the place ---

  go (change: Partial<Place>, history: 'push' | 'replace' = 'replace'): void {
    const place = { ...this.place, ...change }
    const url = `${location.pathname}${writePlace(place, location.search)}`
    if (history === 'push') window.history.pushState(null, '', url)
    else window.history.replaceState(null, '', url)
    this.follow(place)
  }

  /** Shows what the address says. */
  follow (place: Place): void {
    const { filter, sort } = this.place
    this.place = place
    if (filter !== place.filter || sort !== place.sort) this.#setView()
    if (filter !== place.filter && this.paged) {
      this.#cursors.length = 0
      clearTimeout(this.#typing)
      this.#typing = setTimeout(() => this.#turn(), TYPING)
    }
    this.onPlace.emit()
    this.onRows.emit()
  }

  #setView (): void {
    this.view.set(this.place.filter, this.paged ? { by: 'added', descending: true } : this.place.sort, this.rowsNow)
  }

  // --- pages, where the server does the paging ---

  get pageNumber (): number {
    return this.#cursors.length + 1
  }

  get hasNext (): boolean {
    return this.#next !== undefined
  }

  nextPage (): void {
    if (this.#next !== undefined) this.#cursors.push(this.#next)
    this.#turn()
  }

  previousPage (): void {
    this.#cursors.pop()
    this.#turn()
  }

  #turn (): void {
    if (this.store.paused) this.setPaused(false)
    this.sync().catch((error) => this.connection.failed(error))
  }

  /** Where a task's panel is found. */
  linkTo ({ name, process }: TaskRef): string {
    return writePlace({ ...this.place, task: name, taskProcess: process?.id }, location.search)
  }

  /** Opens the panel of a task: going back closes it. */
  open ({ task }: Row): void {
    this.go({ task: task.name, taskProcess: task.process?.id }, 'push')
  }

  /** Closes the panel, and puts the focus back to its row. */
  close (): void {
    this.go({ task: undefined, taskProcess: undefined })
    const row = document.querySelector<HTMLElement>('.row[aria-selected=true] a') ?? document.querySelector<HTMLElement>('.row a[tabindex="0"]')
    row?.focus()
  }

  isOpen ({ task }: Row): boolean {
    return this.place.task === task.name && this.place.taskProcess === task.process?.id
  }

  /** The row of a task; without a process, the first of that name. */
  find (name: string, process: string | undefined): Row | undefined {
    const key = keyOf({ name, process: process === undefined ? undefined : { id: process, pid: 0, hostname: '' } })
    return this.store.rows.get(key)
  }

  setPaused (paused: boolean): void {
    if (paused) this.store.pause()
    else this.store.resume()
    this.#pausedAt = paused ? this.now : undefined
    this.view.update(this.rowsNow)
    this.onPlace.emit()
    this.onRows.emit()
  }

  // --- the server ---

  /** Compares all that is known, or what is in these states, with the server's list. */
  async sync (states?: State[]): Promise<void> {
    if (this.#syncing) {
      this.#again ||= states === undefined
      return
    }
    this.#syncing = true
    try {
      do {
        this.#again = false
        await (this.paged ? this.#syncPage() : this.#syncAll(states))
      } while (this.#again)
      this.#schedule()
    } finally {
      this.#syncing = false
    }
  }

  async #syncAll (states: State[] | undefined): Promise<void> {
    this.store.beginSync()
    let after: string | undefined
    do {
      const page = await this.api.list({ limit: PAGE, after, state: states, summary: after === undefined || undefined })
      this.#summarize(page.summary, page.missing)
      this.store.listed(page.tasks, Date.now())
      after = page.next
      this.#schedule()
    } while (after !== undefined)
    this.store.endSync((task) => states === undefined || states.includes(task.state))
    if (states === undefined) this.loaded = true
  }

  async #syncPage (): Promise<void> {
    const { filter: { q, prefix, state } } = this.place
    this.store.beginSync()
    let after = this.#cursors.at(-1)
    let found = 0
    // A page of the server may hold less than was asked for, and not be the last.
    for (let requests = 0; requests < PAGE_REQUESTS && found < PAGE_ROWS; requests++) {
      const page = await this.api.list({ limit: PAGE_ROWS - found, after, state: statesOf(state), q: q || undefined, prefix: prefix || undefined, summary: requests === 0 })
      this.#summarize(page.summary, page.missing)
      this.store.listed(page.tasks, Date.now())
      found += page.tasks.length
      after = page.next
      if (after === undefined) break
    }
    this.#next = after
    this.store.endSync(() => true)
    this.loaded = true
  }

  /** Takes the server's answer about one task. */
  take (task: Snapshot): void {
    this.store.told(task, Date.now())
    this.#schedule()
  }

  /** Looks at one task again: what is left of its lease changes without an event. @returns `undefined` if it is gone */
  async refresh (task: TaskRef): Promise<Snapshot | undefined> {
    try {
      const snapshot = await this.api.get(task)
      // Events are newer than a reply that was on its way.
      const known = this.store.rows.get(keyOf(snapshot))
      if (known === undefined || known.task.createdAt !== snapshot.createdAt || isLive(known.task)) this.take(snapshot)
      return snapshot
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) return undefined
      throw error
    }
  }

  async #poll (): Promise<void> {
    if (!this.live || document.hidden || this.#syncing) return
    if (this.paged) return await this.#pollPage()
    const before = { ...this.store.counts }
    const received = this.#received
    try {
      const { summary, missing } = await this.api.list({ limit: 1, summary: true })
      this.#summarize(summary, missing)
      const counts = summary?.counts
      if (counts !== undefined) {
        // Events on their way make a difference that is none.
        const slack = this.#received - received
        const wrong = STATES.filter((state) => Math.min(
          Math.abs((counts[state] ?? 0) - before[state]), Math.abs((counts[state] ?? 0) - this.store.counts[state])) > slack)
        if (wrong.length > 0) await this.sync(wrong)
      }
      await this.#refreshLeases()
    } catch (error) {
      // The feed knows when the server is gone; what it cannot know is that the user may no longer ask.
      if (error instanceof RefusedError && (error.status === 401 || error.status === 403)) this.connection.failed(error)
    }
  }

  async #pollPage (): Promise<void> {
    try {
      await this.sync()
    } catch (error) {
      this.connection.failed(error)
    }
  }

  async #refreshLeases (): Promise<void> {
    const half = (row: Row): boolean => (this.leaseLeft(row) ?? Infinity) < (row.task.lease?.ttl ?? 0) / 2
    const due = this.inView.filter((row) => isLive(row.task) && half(row)).sort((a, b) => a.seenAt - b.seenAt).slice(0, LEASES)
    await Promise.all(due.map((row) => this.refresh(row.task)))
  }

  #summarize (summary: Summary | undefined, missing: unknown[] | undefined): void {
    if (summary !== undefined) this.summary = summary
    this.missing = missing ?? []
  }

  #statusChanged (): void {
    const now = Date.now() + this.api.ahead
    if (this.live) this.#frozenAt = undefined
    else this.#frozenAt ??= now
    this.history.advance(Date.now(), this.live ? this.running : null)
    this.onPlace.emit()
    this.onNumbers.emit()
    this.onRows.emit()
  }

  // --- time ---

  #schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    // A page that is not seen is not drawn, yet its messages must not pile up.
    if (document.hidden) setTimeout(() => this.#flush(), 500)
    else requestAnimationFrame(() => this.#flush())
  }

  #flush (): void {
    this.#scheduled = false
    const until = performance.now() + BUDGET
    let done = 0
    while (done < this.#queue.length && (document.hidden || performance.now() < until)) this.#receive(this.#queue[done++])
    this.#queue.splice(0, done)
    if (this.live) this.history.advance(Date.now(), this.running)
    // A row of a paused list stays as it is, but what can be done to its task does not.
    if (this.view.update(this.rowsNow) || (this.store.paused && done > 0)) this.onRows.emit()
    if (this.#queue.length > 0) this.#schedule()
    if (performance.now() - this.#numbersAt > 250) this.#emitNumbers()
  }

  #receive (data: string): void {
    const { event, task, process } = JSON.parse(data) as { event: string, task?: unknown, process?: ProcessInfo }
    if (event === 'gone' && process !== undefined) this.store.forget(process.id)
    if (!isSnapshot(task)) return
    this.#received++
    // Of a page only what is on it is of interest, and what is newer than the first of it.
    const known = this.store.rows.has(keyOf(task))
    if (!this.paged || known || (event === 'start' && this.#cursors.length === 0)) this.store.told(task, Date.now())
    if (event === 'start') this.history.add('started')
    else if (event === 'end' && !isLive(task)) this.history.add(task.state as 'completed' | 'failed' | 'cancelled')
  }

  get running (): number {
    return this.counts.running + this.counts.cancelling
  }

  #tick (): void {
    this.history.advance(Date.now(), this.live ? this.running : null)
    // By duration alone the order changes with nothing but time.
    if (this.place.sort.by === 'duration' && this.live && !this.store.paused) this.view.rebuild(this.rowsNow)
    this.#emitNumbers()
    this.onRows.emit()
  }

  #emitNumbers (): void {
    this.#numbersAt = performance.now()
    this.onNumbers.emit()
  }

  /** The processes that are known, by their ids. */
  get processes (): Map<string, ProcessInfo> {
    const found = new Map<string, ProcessInfo>()
    for (const each of [this.summary.process, ...this.summary.processes ?? []]) if (each !== undefined) found.set(each.id, each)
    return found
  }

  explain (error: unknown): string {
    return error instanceof RefusedError ? error.message : explain(error)
  }
}
