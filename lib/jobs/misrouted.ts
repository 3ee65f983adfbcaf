import type { Engine } from './engine'
import type { Kinds } from './kinds'
import { readList } from './read-list'
import type { Stored } from './serialization'
import { timers } from '../shared/timers'

/** How long a job waits that came to a process without its kind: the first time 25 ms, each time four times longer, up to five minutes. */
const FIRST_DELAY = 25
const MAX_DELAY = 300_000
/** How long between two of them at least, so that their number costs nothing. In ms. */
const SPACING = 50
/** How long until the fleet is asked who works their kinds, and how long at most until it is asked again. In ms. */
const ASK_DELAY = 250
const MAX_ASK_DELAY = 60_000
/** How many of a kind are woken for a process that has room. */
const WOKEN = 100
/** How many of a kind are remembered. The others come back by themselves. */
const REMEMBERED = 10_000

/**
 * Jobs of kinds that this process has not defined. BullMQ gives a worker whatever comes first in its queue: the job is put back for
 * longer and longer, so that it slows no other down, and is woken when a process that has its kind has room for it.
 */
export class MisroutedJobs {
  /** By queue and kind, when each comes back by itself. */
  readonly #parked = new Map<string, Map<string, Map<string, number>>>()
  /** By how often they came, when the last of those comes back. */
  readonly #slots: number[] = []
  /** By queue, the kinds of which others have jobs, and for which there was no room here. */
  readonly #wanted = new Map<string, Set<string>>()
  #askDelay = ASK_DELAY
  #asking: NodeJS.Timeout | undefined = undefined

  /** @param hasRoom whether this process could start another job of the queue */
  constructor (private readonly engine: Engine, private readonly kinds: Pick<Kinds, 'get' | 'namesOf'>, private readonly hasRoom: (queue: string) => boolean) {
    const { events } = engine
    events.on('parked', ({ queue, kinds }) => this.#onParked(queue, readKinds(kinds)))
    events.on('room', ({ queue, kinds }) => this.#onRoom(queue, readKinds(kinds)))
  }

  /** @returns when a job is to come back that is put back, in ms since the epoch */
  nextTime (job: Stored): number {
    const level = levelOf(job)
    const at = Math.max(Date.now() + Math.min(FIRST_DELAY * 4 ** level, MAX_DELAY), (this.#slots[level] ?? 0) + SPACING)
    this.#slots[level] = at
    return at
  }

  /** The job has been put back, and can be woken. */
  remember (queue: string, job: Stored, at: number): void {
    const ofQueue = this.#parked.get(queue) ?? new Map<string, Map<string, number>>()
    const ofKind = ofQueue.get(job.name) ?? new Map<string, number>()
    this.#parked.set(queue, ofQueue.set(job.name, ofKind))
    // Others may be free for a job that has just come, or that was woken and came here, whatever they said of those before.
    if (levelOf(job) < 2 || ofKind.size === 0) this.#askSoon()
    else this.#askLater()
    ofKind.set(job.id!, at)
    if (ofKind.size > REMEMBERED) ofKind.delete(ofKind.keys().next().value!)
  }

  #askSoon (): void {
    if (this.#askDelay > ASK_DELAY) {
      this.close()
      this.#askDelay = ASK_DELAY
    }
    this.#askLater()
  }

  #askLater (): void {
    this.#asking ??= timers.setTimeout(() => {
      this.#asking = undefined
      this.#askDelay = Math.min(this.#askDelay * 2, MAX_ASK_DELAY)
      for (const [queue, kinds] of this.#parked) if (kinds.size > 0) this.#publish(queue, 'parked', [...kinds.keys()])
    }, this.#askDelay, undefined).unref()
  }

  /** Others have put back jobs of these kinds. */
  #onParked (queue: string, kinds: string[]): void {
    const own = kinds.filter((kind) => this.kinds.get(kind) !== undefined)
    if (own.length === 0) return
    if (this.hasRoom(queue)) return this.#publish(queue, 'room', own)
    const wanted = this.#wanted.get(queue) ?? new Set()
    for (const kind of own) wanted.add(kind)
    this.#wanted.set(queue, wanted)
  }

  /** A job of the queue has ended here. */
  onRoom (queue: string): void {
    const kinds = this.#wanted.get(queue)
    if (kinds === undefined) return
    this.#wanted.delete(queue)
    this.#publish(queue, 'room', [...kinds])
  }

  /** A process has room for jobs of these kinds. */
  #onRoom (queue: string, kinds: string[]): void {
    for (const kind of kinds) {
      const parked = this.#parked.get(queue)?.get(kind)
      if (parked === undefined) continue
      const now = Date.now()
      const ids: string[] = []
      for (const [id, at] of parked) {
        parked.delete(id)
        if (at > now && ids.push(id) === WOKEN) break
      }
      if (parked.size === 0) this.#parked.get(queue)!.delete(kind)
      this.#askSoon()
      this.#wake(queue, ids)
    }
  }

  /** This process works the queue from now on: what waits for its kinds is woken, by whoever has put it back or from here. */
  announce (queue: string): void {
    const kinds = this.kinds.namesOf(queue)
    if (kinds.length === 0) return
    this.#publish(queue, 'room', kinds)
    this.engine.request(queue, async (engineQueue) => {
      const delayed: Array<Stored | undefined> = await engineQueue.getJobs(['delayed'], 0, REMEMBERED / 10)
      this.#wake(queue, delayed.filter((job) => job?.data?.misrouted !== undefined && kinds.includes(job.name)).map((job) => job!.id!))
    }).catch(ignore)
  }

  #wake (queue: string, ids: string[]): void {
    // One that is no longer delayed has come back already.
    for (const id of ids) this.engine.request(queue, (engineQueue) => engineQueue.getBackend().promote(id)).catch(ignore)
  }

  #publish (queue: string, event: 'parked' | 'room', kinds: string[]): void {
    this.engine.request(queue, () => this.engine.publish(queue, event, '', { kinds: JSON.stringify(kinds) })).catch(ignore)
  }

  close (): void {
    timers.clearTimeout(this.#asking)
    this.#asking = undefined
  }
}

function readKinds (kinds: unknown): string[] {
  return readList(kinds).filter((kind) => typeof kind === 'string')
}

/** How often the job came to a process without its kind, as far as that matters. */
function levelOf (job: Stored): number {
  return Math.min(job.data?.misrouted ?? 0, 9)
}

/** A store that is away loses nothing: each comes back by itself. */
function ignore (): void {}
