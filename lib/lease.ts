import { AsyncResource } from 'node:async_hooks'

/** Who lives on a lease, and is told when it lapses. */
export interface LeaseHolder {
  lapse (): void
}

// A tick belongs to no request: it must not run in the async context of the one that happened to start the clock.
const root = new AsyncResource('FastifyTasksLeaseClock')

/** A place in a ring of leases. One alone is a ring that holds none. */
class Place {
  next: Place = this
  previous: Place = this

  /** Puts a lease last. */
  push (lease: Lease): void {
    lease.previous = this.previous
    lease.next = this
    this.previous.next = lease
    this.previous = lease
  }

  leave (): void {
    this.previous.next = this.next
    this.next.previous = this.previous
    this.next = this.previous = this
  }
}

/**
 * A coarse clock, shared by the leases of about the same ttl: a real clock read at every heartbeat would cost more than the
 * heartbeat, and a timer for every lease more than the task. It runs only while there are leases.
 *
 * It counts ticks, not time. A blocked event loop is a single tick, so heartbeats that queued behind the blockage are read
 * before a lease lapses; and a change of the wall clock is none at all.
 */
class LeaseClock {
  ticks = 0
  private tickedAt = 0
  private timer: NodeJS.Timeout | undefined
  private leases = 0
  /** The leases to look at, by tick. A renewed lease is moved no sooner than then, so that a heartbeat costs one assignment. */
  private readonly agenda = new Map<number, Place>()

  constructor (readonly interval: number) {}

  add (lease: Lease): void {
    this.note(lease)
    if (this.leases++ > 0) return
    this.tickedAt = performance.now()
    this.wait(this.interval)
  }

  remove (lease: Lease): void {
    if (lease.next === lease) return
    lease.leave()
    if (--this.leases > 0) return
    this.agenda.clear()
    clearTimeout(this.timer)
  }

  private note (lease: Lease): void {
    let ring = this.agenda.get(lease.dueTick)
    if (ring === undefined) this.agenda.set(lease.dueTick, ring = new Place())
    ring.push(lease)
  }

  private wait (delay: number): void {
    this.timer = root.runInAsyncScope(setTimeout, null, this.tick, delay)
  }

  private readonly tick = (): void => {
    const now = performance.now()
    // Late by a whole tick: the loop was blocked, and that time is dropped. A smaller lateness is made up for.
    this.tickedAt = now - this.tickedAt < 2 * this.interval ? this.tickedAt + this.interval : now
    this.wait(Math.max(1, this.tickedAt + this.interval - now))
    const ring = this.agenda.get(++this.ticks)
    if (ring === undefined) return
    this.agenda.delete(this.ticks)
    while (ring.next !== ring) {
      const lease = ring.next as Lease
      if (lease.dueTick <= this.ticks) {
        this.remove(lease)
        lease.holder.lapse()
      } else {
        lease.leave()
        this.note(lease)
      }
    }
  }
}

// A tick is a 32nd of the ttl, within bounds that keep an idle process idle and a long lease punctual.
const TICKS_PER_TTL = 32
const MAX_INTERVAL = 25

const clocks = new Map<number, LeaseClock>()

function clockFor (ttl: number): LeaseClock {
  const interval = Math.min(Math.max(1, Math.floor(ttl / TICKS_PER_TTL)), MAX_INTERVAL)
  let clock = clocks.get(interval)
  if (clock === undefined) clocks.set(interval, clock = new LeaseClock(interval))
  return clock
}

/** A ttl in ms that runs from the start and from each renewal. Lapses at most three ticks late, never early. */
export class Lease extends Place {
  private started = false
  private renewedTick = 0
  private readonly span: number
  private readonly clock: LeaseClock

  constructor (readonly ttl: number, readonly holder: LeaseHolder) {
    super()
    this.clock = clockFor(ttl)
    // Two ticks more than the ttl: the first may be nearly over when it is counted, and one may be a blocked loop.
    this.span = Math.ceil(ttl / this.clock.interval) + 2
  }

  /** The tick at which the lease lapses unless it is renewed. */
  get dueTick (): number {
    return this.renewedTick + this.span
  }

  /** What is left of the ttl in ms, to the tick. */
  get remaining (): number {
    if (!this.started) return this.ttl
    return Math.max(0, this.ttl - (this.clock.ticks - this.renewedTick) * this.clock.interval)
  }

  start (): void {
    this.started = true
    this.renew()
    this.clock.add(this)
  }

  renew (): void {
    this.renewedTick = this.clock.ticks
  }

  /** Leaves the clock: the lease can no longer lapse. */
  end (): void {
    this.clock.remove(this)
  }
}
