import { Api, RefusedError, type ProcessInfo, type TaskRef } from './api'
import { Connection, explain } from './connection'
import { Emitter } from './emitter'
import { FeedQueue } from './feed-queue'
import { ListSync } from './list-sync'
import { History } from './model/history'
import type { Place } from './model/location'
import { isLive, isSnapshot, keyOf, noCounts, type Counts, type Snapshot } from './model/snapshot'
import { leaseEnd, Store, type Row } from './model/store'
import { View } from './model/view'
import { Navigation } from './navigation'

export const POLL = 2_000
/** After how many events a page that is not seen polls: what the server has removed must not pile up. */
const UNSEEN = 1_000
/** How long a search waits for the next key, in ms, before the server is asked. */
const TYPING = 200
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
  readonly list: ListSync
  /** The rows have changed: at most once a frame. */
  readonly onRows = new Emitter()
  /** Numbers may have changed: four times a second, and with the clock. */
  readonly onNumbers = new Emitter()
  /** The connection, the place or the pause is another. */
  readonly onPlace = new Emitter()
  readonly navigation: Navigation
  /** The rows that are in view: their leases are kept current. */
  inView: Row[] = []
  readonly #queue = new FeedQueue((message) => this.#receive(message), (taken) => this.#onFrame(taken))
  #received = 0
  #polling = false
  #polledAt = 0
  #numbersAt = 0
  /** The moment at which the clock stands still: without a connection, and of the rows in a pause. */
  #frozenAt: number | undefined
  #pausedAt: number | undefined
  #typing: ReturnType<typeof setTimeout> | undefined

  constructor (base: URL, readonly serves: Served, place: Place) {
    const path = serves === 'tasks' ? '' : 'jobs-'
    this.navigation = new Navigation(place, (from) => this.#onMoved(from))
    this.api = new Api(new URL(`${path}api/`, base))
    this.connection = new Connection(this.api, new URL(`${path}feed`, base), {
      message: (data) => this.#queue.push(data),
      opened: async () => { await this.sync() },
      changed: () => this.#statusChanged()
    })
    this.list = new ListSync({
      api: this.api, store: this.store, paged: this.paged, filter: () => this.place.filter, changed: () => this.#queue.schedule()
    })
    this.#setView()
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
    return this.paged ? { ...noCounts(), ...this.list.summary.counts } : this.store.counts
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

  /** What is left of a lease, in ms. */
  leaseLeft (row: Pick<Row, 'task' | 'seenAt'>): number | undefined {
    const end = leaseEnd(row)
    // Counted by this page's own clock, from when the snapshot came.
    return end === undefined ? undefined : Math.max(0, end - (this.rowsNow - this.api.ahead))
  }

  get place (): Place {
    return this.navigation.place
  }

  #onMoved ({ filter, sort }: Place): void {
    const { place } = this
    // By value: the address is read anew each time.
    const isFiltered = JSON.stringify(filter) !== JSON.stringify(place.filter)
    if (isFiltered || sort !== place.sort) this.#setView()
    if (isFiltered && this.paged) {
      this.list.toFirstPage()
      clearTimeout(this.#typing)
      this.#typing = setTimeout(() => this.#turn(), TYPING)
    }
    this.onPlace.emit()
    this.onRows.emit()
  }

  #setView (): void {
    this.view.set(this.place.filter, this.paged ? { by: 'added', descending: true } : this.place.sort, this.rowsNow)
  }

  nextPage (): void {
    this.list.toNextPage()
    this.#turn()
  }

  previousPage (): void {
    this.list.toPreviousPage()
    this.#turn()
  }

  #turn (): void {
    if (this.store.paused) this.setPaused(false)
    this.sync().catch((error) => this.connection.failed(error))
  }

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

  /** Compares all that is held with the server's list. */
  sync (): Promise<void> {
    return this.list.sync()
  }

  /** Takes the server's answer about one task, if it belongs to what is held. */
  take (task: Snapshot): void {
    if (this.paged && !this.store.rows.has(keyOf(task))) return
    this.store.told(task, Date.now())
    this.#queue.schedule()
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
    if (!this.live || this.#polling || this.list.isBusy || (document.hidden && this.#received - this.#polledAt < UNSEEN)) return
    const { status } = this.connection
    this.#polling = true
    this.#polledAt = this.#received
    try {
      if (this.paged) return await this.sync()
      await this.list.syncCounts(() => this.#received)
      await this.#refreshLeases()
    } catch (error) {
      // The feed does not notice a server that hangs, nor that the user may no longer ask. Other refusals pass, such as a limit of requests.
      const passes = error instanceof RefusedError && error.status !== 401 && error.status !== 403
      if (this.connection.status === status && (this.paged || !passes)) this.connection.failed(error)
    } finally {
      this.#polling = false
    }
  }

  async #refreshLeases (): Promise<void> {
    const half = (row: Row): boolean => (this.leaseLeft(row) ?? Infinity) < (row.task.lease?.ttl ?? 0) / 2
    const due = this.inView.filter((row) => isLive(row.task) && half(row)).sort((a, b) => a.seenAt - b.seenAt).slice(0, LEASES)
    await Promise.all(due.map((row) => this.refresh(row.task)))
  }

  #statusChanged (): void {
    const now = Date.now() + this.api.ahead
    if (this.live) this.#frozenAt = undefined
    else this.#frozenAt ??= now
    this.history.advance(Date.now(), this.live ? this.running : null)
    this.view.update(this.rowsNow)
    this.onPlace.emit()
    this.onNumbers.emit()
    this.onRows.emit()
  }

  #onFrame (taken: number): void {
    if (this.live) this.history.advance(Date.now(), this.running)
    // A row of a paused list stays as it is, but what can be done to its task does not.
    if (this.view.update(this.rowsNow) || (this.store.paused && taken > 0)) this.onRows.emit()
    if (performance.now() - this.#numbersAt > 250) this.#emitNumbers()
  }

  #receive (data: string): void {
    const { event, task, process } = JSON.parse(data) as { event: string, task?: unknown, process?: ProcessInfo }
    if (event === 'gone' && process !== undefined) this.store.forget(process.id)
    if (!isSnapshot(task)) return
    this.#received++
    // Of a page only what is on it is of interest, and what is newer than the first of it.
    const known = this.store.rows.has(keyOf(task))
    if (!this.paged || known || (event === 'start' && this.list.pageNumber === 1)) this.store.told(task, Date.now())
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

  explain (error: unknown): string {
    return error instanceof RefusedError ? error.message : explain(error)
  }
}
