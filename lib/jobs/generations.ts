import { timers } from '../shared/timers'
import type { Engine, Queue } from './engine'

/** BullMQ keeps completed and failed jobs apart, and forgets each kind by a rule of its own. So do the entries about them. */
const FAMILIES = ['completed', 'failed'] as const
export type Family = typeof FAMILIES[number]

/** How many of a family BullMQ keeps, and for how long in ms; `Infinity` for no limit. */
export interface Limits { count: number, age: number }

/** A generation takes at least so many entries and lives for so long: who waits still finds what a purge or a tight limit has removed. */
const MIN_COUNT = 1_000
const MIN_AGE = 30_000
/** For how long a process may write to a generation without asking whether it is still the newest. Far less than {@link MIN_AGE}. */
const MAX_STALENESS = 5_000
/** Fields of one request. */
const SLICE = 1_000

interface Position { number: number, since: number }
type Positions = Record<Family, Position>

interface Directory {
  positions: Positions
  readAt: number
  /** How much this process has written to each. */
  written: Record<Family, number>
}

/**
 * Texts by name, in BullMQ's own store: fields of the metadata of queues that hold no job. BullMQ writes and reads many of
 * them in one request, and overwrites. They do not expire, so each family has two generations: the newest is written to, and when
 * it has grown to what BullMQ keeps, a newer one is begun and the oldest dropped whole.
 */
export class Generations {
  readonly #engine: Pick<Engine, 'request'>
  readonly #limitsOf: (queue: string, family: Family) => Limits
  readonly #directories = new Map<string, Directory>()

  constructor (engine: Pick<Engine, 'request'>, limitsOf: (queue: string, family: Family) => Limits) {
    this.#engine = engine
    this.#limitsOf = limitsOf
  }

  /**
   * @param count how much the entries count towards the limit
   * @param onSent called when the store has been asked for all, and has yet to answer
   */
  async write (queue: string, family: Family, entries: Record<string, string>, count: number, onSent?: () => void): Promise<void> {
    if (Object.keys(entries).length === 0) return
    await this.#engine.request(queue, async (engineQueue) => {
      const directory = await this.#current(queue, engineQueue)
      const { number } = directory.positions[family]
      let written: Promise<unknown> | undefined
      // In the same order everywhere: two processes that write the same fields would lock each other out in PostgreSQL.
      for (const fields of slices(Object.keys(entries).sort())) {
        await written
        written = generation(engineQueue, family, number).setQueueMeta(Object.fromEntries(fields.map((field) => [field, entries[field]])))
      }
      onSent?.()
      await written
      directory.written[family] += count
      if (this.#isFull(queue, family, directory)) await this.#begin(queue, engineQueue, family)
    })
  }

  /** What is found by each of the names, in any of the generations. */
  async read (queue: string, fields: string[]): Promise<string[][]> {
    return this.#engine.request(queue, async (engineQueue) => {
      const found: string[][] = fields.map(() => [])
      let offset = 0
      for (const some of slices(fields)) {
        for (const values of await this.#readSlice(queue, engineQueue, some)) {
          values.forEach((value, i) => { if (value !== null) found[offset + i].push(value) })
        }
        offset += some.length
      }
      return found
    })
  }

  /** From all generations. */
  async remove (queue: string, fields: string[]): Promise<void> {
    await this.#engine.request(queue, async (engineQueue) => {
      const { positions } = await this.#refresh(queue, engineQueue)
      await Promise.all(mapsOf(engineQueue, positions).map((map) => map.removeQueueMetaFields(fields)))
    })
  }

  /** From now on entries leave with the next generations, full or not. */
  async retire (queue: string): Promise<void> {
    await this.#engine.request(queue, async (engineQueue) => {
      const { positions } = await this.#refresh(queue, engineQueue)
      for (const family of FAMILIES) {
        if (Date.now() - positions[family].since >= MIN_AGE) await this.#begin(queue, engineQueue, family)
      }
    })
  }

  async #readSlice (queue: string, engineQueue: Queue, fields: string[]): Promise<Array<Array<string | null>>> {
    for (let directory = this.#directories.get(queue) ?? await this.#refresh(queue, engineQueue); ;) {
      const [now, ...values] = await Promise.all([
        this.#refresh(queue, engineQueue),
        ...mapsOf(engineQueue, directory.positions).map((map) => map.getQueueMetaFields(fields))
      ])
      const isCurrent = FAMILIES.every((family) => now.positions[family].number === directory.positions[family].number)
      if (isCurrent) return values
      directory = now
    }
  }

  #isFull (queue: string, family: Family, { positions, written }: Directory): boolean {
    const { count, age } = this.#limitsOf(queue, family)
    const lived = Date.now() - positions[family].since
    return lived >= MIN_AGE && (lived >= age || written[family] >= Math.max(count, MIN_COUNT))
  }

  /** Every process that finds the same one full begins the same next one. */
  async #begin (queue: string, engineQueue: Queue, family: Family): Promise<void> {
    const { number, since } = this.#directories.get(queue)!.positions[family]
    const { positions } = await this.#refresh(queue, engineQueue)
    if (positions[family].number !== number || positions[family].since !== since) return
    await directoryOf(engineQueue).setQueueMeta({ [family]: `${number + 1}@${Date.now()}` })
    await this.#refresh(queue, engineQueue)
    // That before it too: who was to drop it may have died, or have done so together with another.
    for (const old of [number - 1, number - 2]) if (old >= 0) await drop(engineQueue, family, old).catch(() => {})
  }

  async #current (queue: string, engineQueue: Queue): Promise<Directory> {
    const known = this.#directories.get(queue)
    return known !== undefined && timers.now() - known.readAt < MAX_STALENESS ? known : this.#refresh(queue, engineQueue)
  }

  async #refresh (queue: string, engineQueue: Queue): Promise<Directory> {
    const readAt = timers.now()
    const stored = await directoryOf(engineQueue).getQueueMetaFields([...FAMILIES])
    const positions = {} as Positions
    const unset: Record<string, string> = {}
    FAMILIES.forEach((family, i) => {
      const text = stored[i] ?? (unset[family] = `0@${Date.now()}`)
      const [number, since] = text.split('@').map(Number)
      positions[family] = { number, since }
    })
    if (Object.keys(unset).length > 0) await directoryOf(engineQueue).setQueueMeta(unset)
    const known = this.#directories.get(queue)
    const written = { completed: 0, failed: 0 }
    for (const family of FAMILIES) {
      if (known?.positions[family].number === positions[family].number) written[family] = known.written[family]
    }
    const directory = { positions, readAt, written }
    this.#directories.set(queue, directory)
    return directory
  }
}

type Metadata = Pick<ReturnType<Queue['getBackend']>, 'setQueueMeta' | 'getQueueMetaFields' | 'removeQueueMetaFields' | 'obliterate'>

/** Which generation of each family is the newest, and since when. */
function directoryOf (engineQueue: Queue): Metadata {
  return engineQueue.getBackend().forQueue(`${engineQueue.name}-outcomes`)
}

/** All in which there may be something. */
function mapsOf (engineQueue: Queue, positions: Positions): Metadata[] {
  return FAMILIES.flatMap((family) => {
    const { number } = positions[family]
    return (number === 0 ? [0] : [number, number - 1]).map((one) => generation(engineQueue, family, one))
  })
}

function generation (engineQueue: Queue, family: Family, number: number): Metadata {
  return engineQueue.getBackend().forQueue(`${engineQueue.name}-outcomes-${family}-${number}`)
}

async function drop (engineQueue: Queue, family: Family, number: number): Promise<void> {
  const old = generation(engineQueue, family, number)
  // BullMQ removes a paused queue alone.
  await old.setQueueMeta({ paused: '1' })
  while (await old.obliterate({ force: true, count: SLICE }) !== 0);
}

function slices<T> (list: T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / SLICE) }, (_, i) => list.slice(i * SLICE, (i + 1) * SLICE))
}
