import { AsyncResource } from 'node:async_hooks'
import { LinkedList, LinkedNode } from './linked-list'
import { timers } from '../shared/timers'

// A tick belongs to no request: it must not run in the async context of the one that happened to start the clock.
const rootContext = new AsyncResource('FastifyTasksLeaseClock')

/** A lease: it expires `ttl` ms after its start or its last renewal. It is linked into its clock's wheel while it runs. */
export class Lease<Holder = unknown> extends LinkedNode {
  renewedTick = 0

  constructor (readonly ttl: number, readonly holder: Holder, private readonly clock: LeaseClock<Holder>) {
    super()
  }

  start (): void {
    this.clock.start(this)
  }

  /** Costs less than reading a clock. */
  renew (): void {
    this.clock.renew(this)
  }

  /** It can no longer expire. May be called again. */
  end (): void {
    this.clock.end(this)
  }

  /** The time left in ms, to the tick. All of it unless the lease runs. */
  get remaining (): number {
    return LinkedNode.isUnlinked(this) ? this.ttl : this.clock.remaining(this)
  }
}

/**
 * A timing wheel, shared by the leases of about the same ttl: a real clock read at every heartbeat would cost more than the
 * heartbeat, and a timer for every lease more than the task. It runs only while there are leases. A lease expires at most four
 * ticks late, never early.
 *
 * It counts ticks, not time. A blocked event loop is a single tick, so heartbeats that queued behind the blockage are read
 * before a lease expires; and a change of the wall clock changes nothing.
 */
class LeaseClock<Holder> {
  #ticks = 0
  #tickedAt = 0
  #timer: NodeJS.Timeout | undefined
  #leases = 0
  /** By tick. A renewed lease is re-slotted only when its old slot fires, so a heartbeat is one assignment. */
  readonly #slots = new Map<number, LinkedList<Lease<Holder>>>()

  constructor (private readonly interval: number, private readonly onExpire: (holder: Holder) => void) {}

  start (lease: Lease<Holder>): void {
    this.renew(lease)
    this.enqueue(lease)
    if (this.#leases++ > 0) return
    this.#tickedAt = timers.now()
    this.arm(this.interval)
  }

  renew (lease: Lease<Holder>): void {
    lease.renewedTick = this.#ticks
  }

  end (lease: Lease<Holder>): void {
    if (LinkedNode.isUnlinked(lease)) return
    LinkedNode.unlink(lease)
    if (--this.#leases > 0) return
    this.#slots.clear()
    timers.clearTimeout(this.#timer)
  }

  remaining (lease: Lease<Holder>): number {
    return Math.max(0, lease.ttl - (this.#ticks - lease.renewedTick) * this.interval)
  }

  /** The tick at which the lease expires unless it is renewed. */
  private dueTick ({ ttl, renewedTick }: Lease<Holder>): number {
    // 3 extra ticks: the current tick may be late, the next one imminent, and one may be a stall with a heartbeat queued behind it.
    return renewedTick + Math.ceil(ttl / this.interval) + 3
  }

  private enqueue (lease: Lease<Holder>): void {
    const tick = this.dueTick(lease)
    let slot = this.#slots.get(tick)
    if (slot === undefined) this.#slots.set(tick, slot = new LinkedList())
    slot.append(lease)
  }

  private arm (delay: number): void {
    this.#timer = rootContext.runInAsyncScope(timers.setTimeout, null, this.tick, delay, undefined)
  }

  private readonly tick = (): void => {
    const now = timers.now()
    // Late by a whole tick: the loop was blocked, and that time is dropped. A smaller lateness is made up for.
    this.#tickedAt = now - this.#tickedAt < 2 * this.interval ? this.#tickedAt + this.interval : now
    this.arm(Math.max(1, this.#tickedAt + this.interval - now))
    const slot = this.#slots.get(++this.#ticks)
    if (slot === undefined) return
    this.#slots.delete(this.#ticks)
    for (let lease = slot.first; lease !== undefined; lease = slot.first) {
      if (this.dueTick(lease) <= this.#ticks) {
        this.end(lease)
        this.onExpire(lease.holder)
      } else {
        LinkedNode.unlink(lease)
        this.enqueue(lease)
      }
    }
  }
}

// A tick is a 32nd of the ttl, within bounds that keep an idle process idle and a long lease punctual.
const TICKS_PER_TTL = 32
const MAX_INTERVAL = 25

/** The clocks of one app: nothing that happens to the timers of another app reaches its leases. */
export class LeaseClocks<Holder> {
  readonly #clocks = new Map<number, LeaseClock<Holder>>()

  constructor (private readonly onExpire: (holder: Holder) => void) {}

  /** A lease of `ttl` ms that has not started. */
  lease (ttl: number, holder: Holder): Lease<Holder> {
    const interval = Math.min(Math.max(1, Math.floor(ttl / TICKS_PER_TTL)), MAX_INTERVAL)
    let clock = this.#clocks.get(interval)
    if (clock === undefined) this.#clocks.set(interval, clock = new LeaseClock(interval, this.onExpire))
    return new Lease(ttl, holder, clock)
  }
}
