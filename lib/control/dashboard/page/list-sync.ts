import type { Api, ProcessInfo, Summary } from './api'
import { STATES, statesOf, type State } from './model/snapshot'
import type { Store } from './model/store'
import type { Filter } from './model/view'

const PAGE = 1_000
/** The rows of a page, and how many requests may be made to fill it, where the server does the paging. */
const PAGE_ROWS = 100
const PAGE_REQUESTS = 10

interface ListSyncOptions {
  api: Api
  store: Store
  /** Whether the server filters and pages: then only one page is held. */
  paged: boolean
  filter: () => Filter
  /** The store has changed. */
  changed: () => void
}

/** Compares what is held with the server's list. */
export class ListSync {
  summary: Summary = {}
  /** Processes that did not answer the last time they were asked. */
  missing: unknown[] = []
  /** Whether the whole list, or the page, has been read once. */
  loaded = false
  /** The cursors of the pages before this one, and of the next, where the server does the paging. */
  readonly #cursors: string[] = []
  #next: string | undefined
  #running: Promise<void> | undefined
  /** Whether everything is to be read, once more if need be. */
  #all = false

  constructor (private readonly options: ListSyncOptions) {}

  get isBusy (): boolean {
    return this.#running !== undefined
  }

  get pageNumber (): number {
    return this.#cursors.length + 1
  }

  get hasNext (): boolean {
    return this.#next !== undefined
  }

  /** The processes that are known, by their ids. */
  get processes (): Map<string, ProcessInfo> {
    const found = new Map<string, ProcessInfo>()
    const { process, processes = [] } = this.summary
    for (const each of [process, ...processes]) if (each !== undefined) found.set(each.id, each)
    return found
  }

  toFirstPage (): void {
    this.#cursors.length = 0
  }

  toNextPage (): void {
    if (this.#next !== undefined) this.#cursors.push(this.#next)
  }

  toPreviousPage (): void {
    this.#cursors.pop()
  }

  /** Compares all that is held, or what is in these states. One that runs is joined, and reads all once more if all is asked for. */
  sync (states?: State[]): Promise<void> {
    this.#all ||= states === undefined
    this.#running ??= this.#run(states).finally(() => { this.#running = undefined })
    return this.#running
  }

  async #run (states: State[] | undefined): Promise<void> {
    if (states !== undefined) await this.#syncAll(states)
    while (this.#all) {
      this.#all = false
      await (this.options.paged ? this.#syncPage() : this.#syncAll(undefined))
    }
    this.options.changed()
  }

  /** Compares the counts, and of the states whose counts differ the tasks. @param received how many events have been received */
  async syncCounts (received: () => number): Promise<void> {
    const { api, store } = this.options
    const before = { ...store.counts }
    const receivedBefore = received()
    const { summary, missing } = await api.list({ limit: 1, summary: true })
    this.#summarize(summary, missing)
    const counts = summary?.counts
    if (counts === undefined) return
    // Events that are on their way explain a difference.
    const slack = received() - receivedBefore
    const wrong = STATES.filter((state) => Math.min(
      Math.abs((counts[state] ?? 0) - before[state]), Math.abs((counts[state] ?? 0) - store.counts[state])) > slack)
    if (wrong.length > 0) await this.sync(wrong)
  }

  async #syncAll (states: State[] | undefined): Promise<void> {
    const { api, store, changed } = this.options
    store.beginSync()
    let after: string | undefined
    do {
      const page = await api.list({ limit: PAGE, after, state: states, summary: after === undefined || undefined })
      this.#summarize(page.summary, page.missing)
      store.listed(page.tasks, Date.now())
      after = page.next
      changed()
    } while (after !== undefined)
    store.endSync((task) => states === undefined || states.includes(task.state))
    if (states === undefined) this.loaded = true
  }

  async #syncPage (): Promise<void> {
    const { api, store } = this.options
    const { q, prefix, state } = this.options.filter()
    store.beginSync()
    let after = this.#cursors.at(-1)
    let found = 0
    // A page of the server may hold less than was asked for, and not be the last.
    for (let requests = 0; requests < PAGE_REQUESTS && found < PAGE_ROWS; requests++) {
      const page = await api.list({ limit: PAGE_ROWS - found, after, state: statesOf(state), q: q || undefined, prefix: prefix || undefined, summary: requests === 0 })
      this.#summarize(page.summary, page.missing)
      store.listed(page.tasks, Date.now())
      found += page.tasks.length
      after = page.next
      if (after === undefined) break
    }
    this.#next = after
    store.endSync(() => true)
    this.loaded = true
  }

  #summarize (summary: Summary | undefined, missing: unknown[] | undefined): void {
    if (summary !== undefined) this.summary = summary
    this.missing = missing ?? []
  }
}
