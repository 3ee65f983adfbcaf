import { AsyncResource } from 'node:async_hooks'

/** Who lives on a lease, and is told when it lapses. */
export interface LeaseHolder {
  lapse (): void
}

// A tick belongs to no request: it must not run in the async context of the one that happened to start the clock.
const root = new AsyncResource('FastifyTasksLeaseClock')

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
  /** The leases to look at, by tick. A renewed lease is moved no sooner than then, so that a heartbeat costs one assignment. */
  private readonly agenda = new Map<number, Set<Lease>>()

  constructor (readonly interval: number) {}

  add (lease: Lease): void {
    const leases = this.agenda.get(lease.dueTick)
    if (leases === undefined) this.agenda.set(lease.dueTick, new Set([lease]))
    else leases.add(lease)
    lease.agendaTick = lease.dueTick
    if (this.timer === undefined) {
      this.tickedAt = performance.now()
      this.wait(this.interval)
    }
  }

  remove (lease: Lease): void {
    const leases = this.agenda.get(lease.agendaTick)
    if (leases?.delete(lease) !== true || leases.size > 0) return
    this.agenda.delete(lease.agendaTick)
    if (this.agenda.size > 0) return
    clearTimeout(this.timer)
    this.timer = undefined
  }

  private wait (delay: number): void {
    this.timer = root.runInAsyncScope(setTimeout, null, this.tick, delay)
  }

  private readonly tick = (): void => {
    const now = performance.now()
    // Late by a whole tick: the loop was blocked, and that time is dropped. A smaller lateness is made up for.
    this.tickedAt = now - this.tickedAt < 2 * this.interval ? this.tickedAt + this.interval : now
    this.wait(Math.max(1, this.tickedAt + this.interval - now))
    this.ticks++
    for (const lease of this.agenda.get(this.ticks) ?? []) {
      this.remove(lease)
      if (lease.dueTick > this.ticks) this.add(lease)
      else lease.holder.lapse()
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
export class Lease {
  /** The tick under which the clock has noted this lease; 0 before the start. */
  agendaTick = 0
  private renewedTick = 0
  private readonly span: number
  private readonly clock: LeaseClock

  constructor (readonly ttl: number, readonly holder: LeaseHolder) {
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
    if (this.agendaTick === 0) return this.ttl
    return Math.max(0, this.ttl - (this.clock.ticks - this.renewedTick) * this.clock.interval)
  }

  start (): void {
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
