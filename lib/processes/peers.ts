import type { ProcessIdentity } from '../../types/process'
import { integer, isObjectOf, boolean, type OptionChecks } from '../shared/option-checks'
import { timers } from '../shared/timers'
import type { Message } from './messages'

/** Another process, known by its beats. */
export interface Peer extends ProcessIdentity {
  /** The content of its last beat. */
  beat: Beat
  /** When its last beat was sent, by its own clock. */
  beatAt: number
  /** Since the last tick here. */
  heard: boolean
  missed: number
  /** How far the clock here is ahead of its own, plus the shortest transit time of its messages, in ms. */
  skew: number
}

/** The content of a beat. */
export interface Beat {
  pid: number
  hostname: string
  /** Whether it is the first: receivers answer with their own. */
  hello?: boolean
  /** The sender wants the events of all processes. */
  listens?: boolean
  /** The sender may expose error text. */
  exposes?: boolean
  /** The number of the last message of events. */
  sequence?: number
}

interface PeerListener {
  joined (peer: Peer): void
  left (peer: Peer): void
  /** After each beat, and after `joined` and `left`. */
  changed (peer: Peer): void
}

const MAX_PEERS = 1_000
const MAX_MISSED = 3
// More than two monotonic clocks may drift apart between two beats, and far less than a timeout.
const DRIFT = 1

const BEAT: OptionChecks = {
  pid: integer(0, Number.MAX_SAFE_INTEGER),
  hostname: ['a string', (value) => typeof value === 'string' && value.length < 300],
  hello: boolean,
  listens: boolean,
  exposes: boolean,
  sequence: integer(0, Number.MAX_SAFE_INTEGER)
}

/** The other processes that are known. */
export class Peers {
  private readonly living = new Map<string, Peer>()
  /** The ids of processes that have left: a late message must not bring them back. Ids are never reused. */
  private readonly departed = new Set<string>()

  constructor (private readonly listener: PeerListener) {}

  all (): Peer[] {
    return [...this.living.values()]
  }

  get (id: string): Peer | undefined {
    return this.living.get(id)
  }

  /** @returns whether the sender asks for a beat in return */
  receiveBeat ({ from, at, items: [beat] }: Message): boolean {
    if (!isObjectOf(beat, BEAT) || this.departed.has(from)) return false
    const { pid, hostname, hello = false } = beat as Beat
    if (pid === undefined || hostname === undefined) return false
    const known = this.living.get(from)
    if (known === undefined) {
      if (this.living.size >= MAX_PEERS) return false
      const peer = { id: from, pid, hostname, beat: beat as Beat, beatAt: at, heard: true, missed: 0, skew: timers.now() - at }
      this.living.set(from, peer)
      this.listener.joined(peer)
      this.listener.changed(peer)
    } else {
      this.note(known, at, DRIFT)
      // Delivered late or twice.
      if (at <= known.beatAt) return hello
      known.beatAt = at
      known.beat = beat as Beat
      known.heard = true
      known.missed = 0
      this.listener.changed(known)
    }
    return hello
  }

  receiveBye (id: string): void {
    if (this.departed.size >= MAX_PEERS) this.departed.delete(this.departed.values().next().value!)
    this.departed.add(id)
    this.forget(id)
  }

  /**
   * Whether a message was on its way for longer than `timeout` ms: its sender has given up by then. By monotonic clocks, which
   * no correction of the time sets back.
   */
  isLate ({ from, at }: Message, timeout: number): boolean {
    const peer = this.living.get(from)
    if (peer === undefined) return false
    this.note(peer, at, 0)
    return timers.now() - at - peer.skew > timeout
  }

  /** One interval of the beats has passed, in which each process must have sent a beat. */
  tick (): void {
    for (const peer of this.living.values()) {
      if (!peer.heard && ++peer.missed >= MAX_MISSED) this.forget(peer.id)
      peer.heard = false
    }
  }

  private forget (id: string): void {
    const peer = this.living.get(id)
    if (peer === undefined) return
    this.living.delete(id)
    this.listener.left(peer)
    this.listener.changed(peer)
  }

  private note (peer: Peer, at: number, drift: number): void {
    peer.skew = Math.min(timers.now() - at, peer.skew + drift)
  }
}
