import type { ControlEvent, LiveEntry, Snapshot } from '../shared/control-backend'

/** A task of another process, as it was last heard of. */
export class RemoteEntry implements LiveEntry {
  /** @param page keeps those that were read together up to date, as long as one of them is held */
  constructor (private snapshot: Snapshot, readonly page?: object) {}

  get name (): string {
    return this.snapshot.name
  }

  get createdAt (): number {
    return this.snapshot.createdAt
  }

  update (snapshot: Snapshot): void {
    this.snapshot = snapshot
  }

  toJSON (): Snapshot {
    return this.snapshot
  }
}

const keyOf = ({ process, name, createdAt }: Snapshot): string => `${process!.id} ${createdAt} ${name}`

type Page = Map<string, RemoteEntry>

/** Tasks that are being read: those whose end event arrived before they did. */
type Reading = Set<string>

/**
 * The entries that a feed holds until its client has read what comes before them: events keep them up to date. They are held weakly:
 * only the garbage collector knows for how long they are used.
 */
export class RemoteEntries {
  private readonly pages = new Set<WeakRef<Page>>()
  private readonly collected = new FinalizationRegistry<WeakRef<Page>>((reference) => this.pages.delete(reference))
  private readonly readings = new Set<Reading>()

  /** Begins to read tasks. */
  open (): Reading {
    const reading: Reading = new Set()
    this.readings.add(reading)
    return reading
  }

  close (reading: Reading): void {
    this.readings.delete(reading)
  }

  /** @returns entries of the tasks that have not ended meanwhile */
  hold (snapshots: Snapshot[], reading: Reading): RemoteEntry[] {
    const page: Page = new Map()
    for (const snapshot of snapshots) {
      const key = keyOf(snapshot)
      if (!reading.has(key)) page.set(key, new RemoteEntry(snapshot, page))
    }
    const reference = new WeakRef(page)
    this.pages.add(reference)
    this.collected.register(page, reference)
    return [...page.values()]
  }

  update (event: ControlEvent, snapshot: Snapshot): void {
    const key = keyOf(snapshot)
    if (event === 'end') for (const reading of this.readings) reading.add(key)
    for (const reference of this.pages) reference.deref()?.get(key)?.update(snapshot)
  }
}
