import { AsyncResource } from 'node:async_hooks'
import { Place } from './linked-list'

/** Who lives on a lease. What there is to know of the lease is kept in it: a heartbeat touches one object, not two. */
export interface LeaseHolder extends Place {
  /** In ms, from the start and from each renewal. */
  readonly ttl: number
  renewedTick: number
  lapse (): void
}

// A tick belongs to no request: it must not run in the async context of the one that happened to start the clock.
const root = new AsyncResource('FastifyTasksLeaseClock')

/**
 * A coarse clock, shared by the leases of about the same ttl: a real clock read at every heartbeat would cost more than the
 * heartbeat, and a timer for every lease more than the task. It runs only while there are leases. A lease lapses at most four
 * ticks late, never early.
 *
 * It counts ticks, not time. A blocked event loop is a single tick, so heartbeats that queued behind the blockage are read
 * before a lease lapses; and a change of the wall clock is none at all.
 */
export class LeaseClock {
  private ticks = 0
  private tickedAt = 0
  private timer: NodeJS.Timeout | undefined
  private leases = 0
  /** Whose lease to look at, by tick. Who renews it is moved no sooner than then, so that a heartbeat costs one assignment. */
  private readonly agenda = new Map<number, Place>()

  constructor (private readonly interval: number) {}

  start (holder: LeaseHolder): void {
    this.renew(holder)
    this.note(holder)
    if (this.leases++ > 0) return
    this.tickedAt = performance.now()
    this.wait(this.interval)
  }

  renew (holder: LeaseHolder): void {
    holder.renewedTick = this.ticks
  }

  /** The lease can no longer lapse. */
  end (holder: LeaseHolder): void {
    if (holder.alone) return
    holder.leave()
    if (--this.leases > 0) return
    this.agenda.clear()
    clearTimeout(this.timer)
  }

  /** What is left of the ttl in ms, to the tick. */
  remaining (holder: LeaseHolder): number {
    return Math.max(0, holder.ttl - (this.ticks - holder.renewedTick) * this.interval)
  }

  /** The tick at which the lease lapses unless it is renewed. */
  private dueTick ({ ttl, renewedTick }: LeaseHolder): number {
    // Three ticks more than the ttl: at a renewal the first may be overdue and the next all but due, and the last may be a blocked
    // loop with a heartbeat behind it.
    return renewedTick + Math.ceil(ttl / this.interval) + 3
  }

  private note (holder: LeaseHolder): void {
    const tick = this.dueTick(holder)
    let ring = this.agenda.get(tick)
    if (ring === undefined) this.agenda.set(tick, ring = new Place())
    ring.push(holder)
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
    while (!ring.alone) {
      const holder = ring.next as LeaseHolder
      if (this.dueTick(holder) <= this.ticks) {
        this.end(holder)
        holder.lapse()
      } else {
        holder.leave()
        this.note(holder)
      }
    }
  }
}

// A tick is a 32nd of the ttl, within bounds that keep an idle process idle and a long lease punctual.
const TICKS_PER_TTL = 32
const MAX_INTERVAL = 25

const clocks = new Map<number, LeaseClock>()

/** The clock for leases of this ttl, in ms. */
export function clockFor (ttl: number): LeaseClock {
  const interval = Math.min(Math.max(1, Math.floor(ttl / TICKS_PER_TTL)), MAX_INTERVAL)
  let clock = clocks.get(interval)
  if (clock === undefined) clocks.set(interval, clock = new LeaseClock(interval))
  return clock
}
