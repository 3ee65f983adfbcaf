import { LIVE_STATES, type ControlBackend, type ControlFilter, type Found, type LiveEntry, type Snapshot } from '../shared/control-backend'
import { FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE, FST_ERR_TASK_OUT_OF_REACH } from '../shared/errors'
import type { ProcessIdentity } from '../../types/process'
import type { EventReceiver } from './event-receiver'
import { mergePages, readPage, readPositions, type PartPage, type Positions } from './pages'
import type { LiveReader } from './live-reader'
import type { Peer } from './peers'
import { mergeSummaries, readCancelled, readPurged, readRefusal, readSummary } from './replies'
import type { Reply, Requests } from './requests'
import { readSnapshot } from './snapshots'

/** What the backend needs to know of this process among the others. */
interface PeerAccess {
  /** The other processes that are there, once this one has had the time to hear of them, and hears their events if it listens. */
  reachable (): Promise<Peer[]>
  /** Whether a plugin of this process may send error text. */
  readonly exposesErrors: boolean
  /** From now on, a plugin of this process may send error text. */
  expose (): void
}

interface Parts {
  own: ControlBackend
  identity: ProcessIdentity
  requests: Requests
  reader: LiveReader
  receiver: EventReceiver
  access: PeerAccess
}

type Listener = Parameters<ControlBackend['subscribe']>[0]
type OnGone = Parameters<ControlBackend['subscribe']>[1]

/** What came of a request by name in one process. */
type Outcome = { snapshot: Snapshot } | { refusal: Error } | undefined

/** The tasks of all processes, as one. */
export class ProcessesBackend implements ControlBackend {
  readonly spansProcesses = true

  constructor (private readonly parts: Parts) {}

  async list ({ process, after, limit, ...filter }: Parameters<ControlBackend['list']>[0]) {
    const { own, identity, requests, access } = this.parts
    const { peers, missing: unknown } = await this.meant(process)
    const positions = after === undefined ? this.start(peers, process) : readPositions(after)
    const asked = peers.filter(({ id }) => Object.hasOwn(positions, id))
    const args = { ...filter, limit, after: after && positions, exposes: access.exposesErrors }
    const mine = this.isMeant(process) && Object.hasOwn(positions, identity.id)
    const [page, { replies, missing }] = await Promise.all([
      mine ? own.list({ ...filter, limit, after: positions[identity.id] || undefined }) : undefined,
      requests.request(asked, 'list', args)
    ])
    const parts: PartPage[] = []
    if (page !== undefined) parts.push({ id: identity.id, tasks: page.tasks.map((task) => this.ofHere(task)), cursors: page.cursors!, next: page.next })
    for (const { peer, value } of replies) {
      const part = readPage(value, peer)
      if (part === undefined) missing.push(peer.id)
      else parts.push(part)
    }
    return { ...mergePages(parts, limit, positions), missing: named([...unknown, ...missing]) }
  }

  async summary () {
    const { own, requests } = this.parts
    const { peers } = await this.meant()
    const [mine, { replies, missing }] = await Promise.all([own.summary(), requests.request(peers, 'summary', {})])
    const summaries = [mine]
    for (const { peer, value } of replies) {
      const summary = readSummary(value, peer)
      if (summary === undefined) missing.push(peer.id)
      else summaries.push(summary)
    }
    return { ...mine, ...mergeSummaries(summaries), missing: named(missing) }
  }

  async get (name: string, process?: string): Promise<Found> {
    const { own, requests, access } = this.parts
    const mine = this.isMeant(process) ? await this.try(() => own.get(name)) : undefined
    // No other process is needed.
    if (mine !== undefined && isLive(mine)) return (mine as { snapshot: Snapshot }).snapshot
    const { peers } = await this.meant(process)
    const { replies, missing } = await requests.request(peers, 'get', { name, exposes: access.exposesErrors }, (reply) => isLive(outcomeOf(reply, name)))
    const found = [mine, ...replies.map((reply) => outcomeOf(reply, name))]
    return choose(name, found, missing, (one, other) => Number(isLive({ snapshot: other })) - Number(isLive({ snapshot: one })) || other.createdAt - one.createdAt)
  }

  async cancel (name: string, process?: string): Promise<Found> {
    const { own, requests, access } = this.parts
    const { peers } = await this.meant(process)
    const [mine, { replies, missing }] = await Promise.all([
      this.isMeant(process) ? this.try(() => own.cancel(name)) : undefined,
      requests.request(peers, 'cancel', { name, exposes: access.exposesErrors })
    ])
    const outcomes = [mine, ...replies.map((reply) => outcomeOf(reply, name))]
    // The cancel is still stopping as long as one of the tasks is.
    return choose(name, outcomes, missing, (one, other) => Number(other.state === 'cancelling') - Number(one.state === 'cancelling'))
  }

  async cancelAll ({ process, ...filter }: ControlFilter, reason?: string) {
    const { own, requests } = this.parts
    const { peers, missing: unknown } = await this.meant(process)
    // An empty filter is refused here, whichever process is named.
    const empty = Object.values(filter).every((part) => part === undefined)
    const mine = this.isMeant(process) || empty ? own.cancelAll(filter, reason) : undefined
    if (empty) await mine
    const [done, { replies, missing }] = await Promise.all([mine, requests.request(peers, 'cancelAll', { filter, reason })])
    const total = { cancelled: done?.cancelled ?? 0, remaining: done?.remaining ?? [] }
    for (const { peer, value } of replies) {
      const cancelled = readCancelled(value)
      if (cancelled === undefined) missing.push(peer.id)
      total.cancelled += cancelled?.cancelled ?? 0
      total.remaining = total.remaining.concat(cancelled?.remaining ?? [])
    }
    return { ...total, missing: named([...unknown, ...missing]) }
  }

  async heartbeat (name: string, process?: string): Promise<void> {
    const { own, requests } = this.parts
    const mine = this.isMeant(process) ? await this.try(async () => { await own.heartbeat(name) }) : undefined
    const { peers } = await this.meant(process)
    const asked = requests.request(peers, 'heartbeat', { name }, ({ status }) => status === 'ok')
    // A task of this name in another process is renewed too, but not waited for.
    if (mine !== undefined && 'snapshot' in mine) return
    const { replies, missing } = await asked
    if (replies.some(({ status }) => status === 'ok')) return
    choose(name, [mine, ...replies.map((reply) => outcomeOf(reply, name))], missing)
  }

  async purge (process?: string) {
    const { own, requests } = this.parts
    const { peers, missing: unknown } = await this.meant(process)
    const [mine, { replies, missing }] = await Promise.all([
      this.isMeant(process) ? own.purge() : undefined,
      requests.request(peers, 'purge', {})
    ])
    let purged = mine?.purged ?? 0
    for (const { peer, value } of replies) {
      const count = readPurged(value)
      if (count === undefined) missing.push(peer.id)
      purged += count ?? 0
    }
    return { purged, missing: named([...unknown, ...missing]) }
  }

  async * live ({ process, ...filter }: Parameters<ControlBackend['live']>[0]): AsyncGenerator<LiveEntry[]> {
    const { own, reader } = this.parts
    if (this.isMeant(process)) {
      for await (const page of own.live(filter)) yield page.map((entry) => this.entryOfHere(entry))
    }
    const { peers } = await this.meant(process)
    // All are asked at once, and read one after the other.
    const walks = peers.map((peer) => {
      const pages = reader.read(peer, filter)
      return { pages, first: pages.next() }
    })
    for (const { pages, first } of walks) {
      for (let page = await first; page.done !== true; page = await pages.next()) yield page.value
    }
  }

  subscribe (listener: Listener, onGone?: OnGone): () => void {
    const { own, receiver } = this.parts
    const unsubscribe = own.subscribe((event, entry) => listener(event, this.entryOfHere(entry)))
    const leave = receiver.add(listener, onGone)
    return () => {
      unsubscribe()
      leave()
    }
  }

  exposeErrors (): void {
    this.parts.access.expose()
  }

  private isMeant (process: string | undefined): boolean {
    return process === undefined || process === this.parts.identity.id
  }

  /** The other processes that are meant, and the id of the one that is named but unknown. */
  private async meant (process?: string): Promise<{ peers: Peer[], missing: string[] }> {
    if (process === this.parts.identity.id) return { peers: [], missing: [] }
    const all = await this.parts.access.reachable()
    if (process === undefined) return { peers: all, missing: [] }
    const peers = all.filter(({ id }) => id === process)
    return { peers, missing: peers.length === 0 ? [process] : [] }
  }

  private start (peers: Peer[], process: string | undefined): Positions {
    const ids = peers.map(({ id }) => id)
    if (this.isMeant(process)) ids.push(this.parts.identity.id)
    return Object.fromEntries(ids.map((id) => [id, '']))
  }

  private ofHere (snapshot: Snapshot): Snapshot {
    const { id, pid, hostname } = this.parts.identity
    return { ...snapshot, process: { id, pid, hostname } }
  }

  private entryOfHere (entry: LiveEntry): LiveEntry {
    return { name: entry.name, createdAt: entry.createdAt, toJSON: () => this.ofHere(entry.toJSON()) }
  }

  /** What came of a request in this process. */
  private async try (request: () => Snapshot | void | Promise<Snapshot | void>): Promise<Outcome> {
    try {
      const snapshot = await request()
      return { snapshot: this.ofHere(snapshot ?? {} as Snapshot) }
    } catch (error) {
      if (error instanceof FST_ERR_TASK_NOT_FOUND) return undefined
      if (error instanceof FST_ERR_TASK_NOT_LIVE || error instanceof FST_ERR_TASK_NO_LEASE) return { refusal: error }
      throw error
    }
  }
}

function isLive (outcome: Outcome): boolean {
  return outcome !== undefined && 'snapshot' in outcome && LIVE_STATES.includes(outcome.snapshot.state)
}

function read (value: unknown, peer: Peer): Outcome {
  const snapshot = readSnapshot(value, peer)
  return snapshot && { snapshot }
}

function outcomeOf ({ status, value, peer }: Reply, name: string): Outcome {
  if (status === 'none') return undefined
  return status === 'ok' ? read(value, peer) : { refusal: readRefusal(value, name) }
}

/**
 * The first of the tasks that were found, by their order.
 * @throws why there is none: it has ended, a process that did not answer may have it, or no process has it
 */
function choose (name: string, outcomes: Outcome[], missing: string[], order?: (one: Snapshot, other: Snapshot) => number): Found {
  const found = outcomes.flatMap((outcome) => outcome !== undefined && 'snapshot' in outcome ? [outcome.snapshot] : []).sort(order)
  if (found.length > 0) return { ...found[0], missing: named(missing) }
  const refusals = outcomes.flatMap((outcome) => outcome !== undefined && 'refusal' in outcome ? [outcome.refusal] : [])
  // A live task is preferred to one that has ended.
  if (refusals.length > 0) throw refusals.find((error) => error instanceof FST_ERR_TASK_NO_LEASE) ?? refusals[0]
  if (missing.length > 0) throw new FST_ERR_TASK_OUT_OF_REACH(name, ...missing)
  throw new FST_ERR_TASK_NOT_FOUND(name)
}

function named (missing: string[]): string[] | undefined {
  return missing.length > 0 ? missing : undefined
}
