import type { Engine } from './engine'
import type { Expiries } from './expiries'
import { claimName, holderOf, isEnded, readJob, type Read } from './names'
import { isStorable } from './options'
import type { Outcomes } from './outcomes'

/** A job as it was read, and the queue that it is in. */
export interface Located extends Read { queue: string }

/** Finds jobs in all queues, at a cost that does not depend on how many are kept. */
export class Lookup {
  readonly #engine: Engine
  readonly #outcomes: Outcomes
  readonly #expiries: Expiries

  constructor (engine: Engine, outcomes: Outcomes, expiries: Expiries) {
    this.#engine = engine
    this.#outcomes = outcomes
    this.#expiries = expiries
  }

  async byId (id: string): Promise<Located | undefined> {
    // No job has another, and PostgreSQL refuses to look for it.
    return isStorable(id) ? (await this.#inEachQueue((queue) => this.read(queue, id)))[0] : undefined
  }

  /** The live job of the name, or else the one that has ended last and is kept. */
  async byName (name: string): Promise<Located | undefined> {
    const held = await this.#inEachQueue((queue) => this.#holderOf(queue, name))
    const live = held.find(isLive)
    if (live !== undefined) return live
    const latest = await this.#inEachQueue(async (queue) => {
      const ids = await this.#outcomes.idsOf(queue, name)
      return Promise.all(ids.map((id) => this.read(queue, id)))
    })
    const found = [...held, ...latest].filter(({ stored }) => stored.data.name === name)
    const revived = found.find(isLive)
    if (revived === undefined) return found.sort((a, b) => b.stored.finishedOn! - a.stored.finishedOn!)[0]
    // Another tool has set it going again, outside its name.
    await this.#engine.request(revived.queue, (engineQueue) => claimName(engineQueue, revived.stored))
    return revived
  }

  async liveByName (name: string): Promise<Located | undefined> {
    const located = await this.byName(name)
    return located !== undefined && isLive(located) ? located : undefined
  }

  /** The live jobs of the name: each queue may have one. */
  async allLiveByName (name: string): Promise<Located[]> {
    const held = (await this.#inEachQueue((queue) => this.#holderOf(queue, name))).filter(isLive)
    if (held.length > 0) return held
    const live = await this.liveByName(name)
    return live === undefined ? [] : [live]
  }

  async #holderOf (queue: string, name: string): Promise<Located | undefined> {
    const id = await this.#engine.request(queue, (engineQueue) => holderOf(engineQueue, name))
    return id === null ? undefined : this.read(queue, id)
  }

  async read (queue: string, id: string): Promise<Located | undefined> {
    const read = await this.#expiries.settled(queue, await this.#engine.request(queue, (engineQueue) => readJob(engineQueue, id)))
    return read && { ...read, queue }
  }

  async #inEachQueue (look: (queue: string) => Promise<Located | undefined | Array<Located | undefined>>): Promise<Located[]> {
    const found = await Promise.all(this.#engine.queues.map(look))
    return found.flat().filter((located) => located !== undefined)
  }
}

function isLive ({ state }: Located): boolean {
  return !isEnded(state)
}
