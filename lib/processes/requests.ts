import { MAX_TIMEOUT } from '../shared/option-checks'
import { timers } from '../shared/timers'
import type { Outbox } from './outbox'
import { TOPICS, type Message } from './messages'
import type { Peer } from './peers'

/** The result of a request in one process. */
export interface Reply {
  peer: Peer
  /** `ok`: done. `none`: it has no such task. `refused`: it has, but the state forbids it. */
  status: 'ok' | 'none' | 'refused'
  /** Not validated. */
  value: unknown
}

interface Replies {
  replies: Reply[]
  /** The ids of the processes that have not answered, or could not. */
  missing: string[]
}

interface Pending {
  /** The processes whose answer is awaited, each with its limit if it has said that it is at work. */
  waiting: Map<Peer, NodeJS.Timeout | undefined>
  result: Replies
  enough: (reply: Reply) => boolean
  resolve: (result: Replies) => void
}

const FINAL: readonly unknown[] = ['ok', 'none', 'refused', 'failed']

const never = (_reply: Reply): boolean => false

/** The requests of this process to others. */
export class Requests {
  private readonly pending = new Map<number, Pending>()
  private lastId = 0
  /** The requests of this turn: they share a timer. */
  private batch: number[] | undefined
  private readonly timers = new Set<NodeJS.Timeout>()

  constructor (
    private readonly outbox: Outbox,
    private readonly peerTimeout: number,
    private readonly isDown: () => boolean
  ) {}

  /**
   * Sends a request to the peers, and waits until all have answered, one that is `enough` has, or the time is over: `peerTimeout` for a sign
   * that the request has arrived, and as long as a peer says that it may take.
   */
  request (peers: Peer[], operation: string, args: object, enough = never): Promise<Replies> {
    // A request that would wait in the emitter until its server is back is not sent.
    if (peers.length === 0 || this.isDown()) return Promise.resolve({ replies: [], missing: peers.map(({ id }) => id) })
    const id = ++this.lastId
    const topic = peers.length === 1 ? TOPICS.of(peers[0].id) : TOPICS.all
    this.outbox.push(topic, 'ask', `[${id},${JSON.stringify(operation)},${JSON.stringify(args)},${this.peerTimeout}]`)
    this.schedule(id)
    return new Promise((resolve) => {
      this.pending.set(id, { waiting: new Map(peers.map((peer) => [peer, undefined])), result: { replies: [], missing: [] }, enough, resolve })
    })
  }

  /** Takes the answers of a peer: only the peers that were asked count, and each counts once. */
  receive (peer: Peer, { items }: Message): void {
    for (const item of items) {
      if (!Array.isArray(item)) continue
      const [id, status, value] = item as [number, string, unknown]
      const request = this.pending.get(id)
      if (request === undefined || !request.waiting.has(peer)) continue
      if (status === 'working') this.extend(id, request, peer, value)
      else if (FINAL.includes(status)) this.settle(id, request, peer, status === 'failed' ? undefined : { peer, value, status: status as Reply['status'] })
    }
  }

  /** The peer has left and will not answer. */
  lose (peer: Peer): void {
    for (const [id, request] of this.pending) this.miss(id, request, peer)
  }

  close (): void {
    for (const timer of this.timers) timers.clearTimeout(timer)
    for (const [id, request] of this.pending) {
      for (const peer of request.waiting.keys()) this.miss(id, request, peer)
    }
  }

  private schedule (id: number): void {
    if (this.batch === undefined) {
      const batch: number[] = []
      this.batch = batch
      timers.setImmediate(() => { this.batch = undefined }, undefined)
      // A turn later: after a stall, timers come before the answers that have arrived meanwhile.
      const timer = timers.setTimeout(() => {
        this.timers.delete(timer)
        timers.setImmediate(() => this.expire(batch), undefined)
      }, this.peerTimeout, undefined)
      this.timers.add(timer)
    }
    this.batch.push(id)
  }

  private expire (ids: number[]): void {
    for (const id of ids) {
      const request = this.pending.get(id)
      if (request === undefined) continue
      for (const [peer, limit] of request.waiting) {
        if (limit === undefined) this.miss(id, request, peer)
      }
    }
  }

  private extend (id: number, request: Pending, peer: Peer, within: unknown): void {
    if (request.waiting.get(peer) !== undefined || !Number.isInteger(within)) return
    const wait = Math.min(Math.max(within as number, 0) + this.peerTimeout, MAX_TIMEOUT)
    request.waiting.set(peer, timers.setTimeout(() => this.miss(id, request, peer), wait, undefined))
  }

  private miss (id: number, request: Pending, peer: Peer): void {
    if (request.waiting.has(peer)) this.settle(id, request, peer)
  }

  private settle (id: number, request: Pending, peer: Peer, reply?: Reply): void {
    timers.clearTimeout(request.waiting.get(peer))
    request.waiting.delete(peer)
    if (reply === undefined) request.result.missing.push(peer.id)
    else request.result.replies.push(reply)
    if (request.waiting.size > 0 && (reply === undefined || !request.enough(reply))) return
    this.pending.delete(id)
    for (const limit of request.waiting.values()) timers.clearTimeout(limit)
    request.waiting.clear()
    request.resolve(request.result)
  }
}
