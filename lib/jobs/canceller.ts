import { FST_ERR_JOB_CANCEL_TIMEOUT } from '../shared/errors'
import { timers } from '../shared/timers'
import type { CompletionWaiter } from './completions'
import { isFor } from './early-cancels'
import type { Engine } from './engine'
import type { Expiries } from './expiries'
import type { Located } from './lookup'
import { isEnded, readJob } from './names'
import { removalOf } from './ended'
import type { Outcomes } from './outcomes'
import { readList } from './read-list'
import { serializeReason, startsOf, type Reason } from './serialization'

/** A request to stop is repeated, less and less often: its event can be lost, or come before its job. In ms. */
const INTERVAL = 250
const MAX_INTERVAL = 2_000
/** Requests of one event. */
const MAX_REQUESTS = 200

/** Sent to every process, to stop a job. `removed`: it waited, and is no longer in its queue. */
export interface StopRequest { id: string, reason: Reason, retries?: number, removed?: boolean }

interface Parts {
  engine: Engine
  completions: CompletionWaiter
  outcomes: Outcomes
  expiries: Pick<Expiries, 'unmark'>
  timeout: number
}

/** Stops jobs wherever they are. */
export class Canceller {
  readonly #engine: Engine
  readonly #completions: CompletionWaiter
  readonly #outcomes: Outcomes
  readonly #expiries: Pick<Expiries, 'unmark'>
  readonly #timeout: number
  /** What is to be published next, by queue. */
  readonly #requests = new Map<string, { list: StopRequest[], published: Promise<void> }>()

  constructor ({ engine, completions, outcomes, expiries, timeout }: Parts) {
    this.#engine = engine
    this.#completions = completions
    this.#outcomes = outcomes
    this.#expiries = expiries
    this.#timeout = timeout
  }

  /**
   * Resolves when a job that was live has stopped, however it has ended.
   * @throws FST_ERR_JOB_CANCEL_TIMEOUT when it still runs after the time-out; the request stands
   */
  async cancel (located: Located, reason: unknown): Promise<void> {
    const { queue, stored: { id, data: { name, retries, cancel = serializeReason(reason) } } } = located
    const stop: StopRequest = { id: id!, reason: cancel, retries }
    const place = await this.#remove(located, cancel)
    if (place === 'ended') return
    if (place === 'removed') return this.#publish(queue, { ...stop, removed: true })
    const { ended, abandon } = this.#completions.wait({ queue, id: id!, name, attempts: startsOf(located.stored) }, { isLive: true })
    const stopped = ended.then(() => true)
    // It is looked at only now and then.
    stopped.catch(() => {})
    try {
      await this.#publish(queue, stop)
      // From now on: a cancel among many may have taken long to get here.
      const until = timers.now() + this.#timeout
      for (let interval = INTERVAL; ; interval = Math.min(interval * 2, MAX_INTERVAL)) {
        const left = until - timers.now()
        if (await isTrueWithin(stopped, Math.min(interval, left))) return
        // The event of its end may be lost. And it may be back in its queue: handed back, or after an attempt that failed by itself.
        const now = await this.#engine.request(queue, (engineQueue) => readJob(engineQueue, id!))
        if (now === undefined || isEnded(now.state) || !isFor(stop, now.stored)) return
        const place = now.state === 'active' ? 'running' : await this.#remove({ queue, ...now }, cancel)
        if (place === 'removed') await this.#publish(queue, { ...stop, removed: true })
        if (place !== 'running') return
        if (left <= interval) throw new FST_ERR_JOB_CANCEL_TIMEOUT(name, this.#timeout)
        await this.#publish(queue, stop)
      }
    } finally {
      abandon()
    }
  }

  /**
   * The flag comes first. Whoever starts the job after that sees it and does not run the handler; so a job that is found waiting
   * after that can only end as cancelled, and to remove it loses no other outcome.
   */
  async #remove ({ queue, stored }: Located, cancel: Reason): Promise<'removed' | 'ended' | 'running'> {
    return this.#engine.request(queue, async (engineQueue) => {
      try {
        if (stored.data.cancel === undefined) await stored.updateData({ ...stored.data, cancel })
        const state = await engineQueue.getJobState(stored.id!)
        if (state === 'unknown' || isEnded(state)) return 'ended'
        if (state === 'active' || await engineQueue.remove(stored.id!) !== 1) return 'running'
      } catch (error) {
        const { code } = error as { code?: unknown }
        // Another cancel has removed it.
        if (code === MISSING) return 'ended'
        // The next tick of a scheduler stays in its queue, and stops when it starts.
        if (code === OF_SCHEDULER) return 'running'
        throw error
      }
      this.#outcomes.record(queue, removalOf(stored, cancel))
      this.#expiries.unmark(queue, stored)
      return 'removed'
    })
  }

  /** Resolves when it is published, together with the others that are requested meanwhile. */
  #publish (queue: string, request: StopRequest): Promise<void> {
    let next = this.#requests.get(queue)
    if (next === undefined || next.list.length === MAX_REQUESTS) {
      const list: StopRequest[] = []
      next = { list, published: this.#publishAll(queue, list) }
      this.#requests.set(queue, next)
    }
    next.list.push(request)
    return next.published
  }

  async #publishAll (queue: string, list: StopRequest[]): Promise<void> {
    await new Promise((resolve) => timers.setImmediate(resolve, undefined))
    if (this.#requests.get(queue)?.list === list) this.#requests.delete(queue)
    await this.#engine.request(queue, () => this.#engine.publish(queue, 'cancel', '', { requests: JSON.stringify(list) }))
  }
}

async function isTrueWithin (promise: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout
  const late = new Promise<boolean>((resolve) => { timer = timers.setTimeout(resolve, Math.max(0, ms), false) })
  return Promise.race([promise, late]).finally(() => timers.clearTimeout(timer))
}

const MISSING = -1
const OF_SCHEDULER = -8

/** Those of an event. */
export function readStopRequests (requests: unknown): StopRequest[] {
  return readList(requests).filter(isStopRequest)
}

function isStopRequest (value: unknown): value is StopRequest {
  const { id, reason } = (value ?? {}) as Partial<StopRequest>
  return typeof id === 'string' && typeof reason === 'object' && reason !== null
}
