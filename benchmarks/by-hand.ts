/** What one would write without the plugin, as lean as it can be: the floor of every comparison. */

export interface Entry {
  name: string
  createdAt: number
  startedAt: number | undefined
  endedAt: number | undefined
  error: unknown
}

export type Work = () => Promise<unknown>

/** Keeps a promise under a name: a turn later, with its times, its outcome handled. */
export class ByHand {
  readonly live = new Map<string, Entry>()

  add (name: string, work: Work): Entry {
    if (this.live.has(name)) throw new Error(`${name} is in use`)
    const entry: Entry = { name, createdAt: Date.now(), startedAt: undefined, endedAt: undefined, error: undefined }
    this.live.set(name, entry)
    setImmediate(() => {
      entry.startedAt = Date.now()
      work().then(
        () => this.end(entry),
        (error) => {
          entry.error = error
          this.end(entry)
        }
      )
    })
    return entry
  }

  private end (entry: Entry): void {
    entry.endedAt = Date.now()
    this.live.delete(entry.name)
  }
}

export type CancellableEntry = Entry & { controller: AbortController, done: Promise<unknown> | undefined }

/** The same with an `AbortController` each, so that it can be cancelled and waited for. */
export class ByHandWithSignal {
  readonly live = new Map<string, CancellableEntry>()

  add (name: string, work: (signal: AbortSignal) => Promise<unknown>): CancellableEntry {
    if (this.live.has(name)) throw new Error(`${name} is in use`)
    const controller = new AbortController()
    const entry: CancellableEntry = {
      name, controller, createdAt: Date.now(), startedAt: undefined, endedAt: undefined, error: undefined, done: undefined
    }
    this.live.set(name, entry)
    setImmediate(() => {
      entry.startedAt = Date.now()
      entry.done = work(controller.signal).then(
        () => this.end(entry),
        (error) => {
          entry.error = error
          this.end(entry)
        }
      )
    })
    return entry
  }

  private end (entry: Entry): void {
    entry.endedAt = Date.now()
    this.live.delete(entry.name)
  }
}

export type AwaitedEntry = Entry & { result: unknown, done: Promise<unknown> }

/** The same with a promise each that is kept with the entry, and its outcome, until a purge. */
export class ByHandAwaited {
  readonly tasks = new Map<string, AwaitedEntry>()

  add (name: string, work: Work): AwaitedEntry {
    const previous = this.tasks.get(name)
    if (previous !== undefined && previous.endedAt === undefined) throw new Error(`${name} is in use`)
    const entry: Omit<AwaitedEntry, 'done'> & { done?: Promise<unknown> } = {
      name, createdAt: Date.now(), startedAt: undefined, endedAt: undefined, error: undefined, result: undefined, done: undefined
    }
    entry.done = new Promise((resolve, reject) => {
      setImmediate(() => {
        entry.startedAt = Date.now()
        work().then(
          (result) => {
            entry.endedAt = Date.now()
            entry.result = result
            resolve(result)
          },
          (error) => {
            entry.endedAt = Date.now()
            entry.error = error
            reject(error)
          }
        )
      })
    })
    this.tasks.set(name, entry as AwaitedEntry)
    return entry as AwaitedEntry
  }

  purge (): void {
    for (const { name, endedAt } of this.tasks.values()) if (endedAt !== undefined) this.tasks.delete(name)
  }
}
