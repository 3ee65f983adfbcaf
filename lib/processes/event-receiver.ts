import type { ControlBackend } from '../shared/control-backend'
import type { LiveReader } from './live-reader'
import type { Message } from './messages'
import type { Peer } from './peers'
import { RemoteEntry, type RemoteEntries } from './remote-entries'
import { isEvent, readSnapshot } from './snapshots'

type Listener = Parameters<ControlBackend['subscribe']>[0]
type OnGone = NonNullable<Parameters<ControlBackend['subscribe']>[1]>

/** How far the events of a peer are known. */
interface Track {
  /** The number of its last message, if it is known yet. */
  sequence?: number
  /** The number of the first message that has arrived. */
  first?: number
  /** Its live tasks must be read: it has just come into reach, or an event was lost. */
  stale: boolean
  /** They are being read. */
  reading: boolean
}

interface Host {
  /** The first listener was added. @returns the known peers */
  listen (): Peer[]
  /** The last listener was removed. */
  unlisten (): void
  /** The number of the peer's last message, once it knows of a listener; `undefined` if it does not answer. */
  sequenceOf (peer: Peer): Promise<number | undefined>
}

/** Passes events of other processes on to the listeners here. */
export class EventReceiver {
  private readonly listeners = new Set<{ listener: Listener, onGone?: OnGone }>()
  private readonly tracks = new Map<Peer, Track>()

  constructor (private readonly entries: RemoteEntries, private readonly reader: LiveReader, private readonly host: Host) {}

  get listening (): boolean {
    return this.listeners.size > 0
  }

  /** The listener itself reads the live tasks of the peers that are known by now. */
  add (listener: Listener, onGone?: OnGone): () => void {
    const entry = { listener, onGone }
    this.listeners.add(entry)
    if (this.listeners.size === 1) {
      for (const peer of this.host.listen()) this.follow(peer)
    }
    return () => {
      if (!this.listeners.delete(entry) || this.listening) return
      this.tracks.clear()
      this.host.unlisten()
    }
  }

  join (peer: Peer): void {
    if (this.listening) this.tracks.set(peer, { stale: true, reading: false })
  }

  leave (peer: Peer): void {
    if (this.tracks.delete(peer)) this.tellGone(peer)
  }

  /** A beat also reveals lost events that no other event followed. */
  heard (peer: Peer): void {
    const track = this.tracks.get(peer)
    if (track === undefined) return
    const { sequence } = peer.beat
    if (sequence !== undefined && track.sequence !== undefined && sequence > track.sequence) this.lose(peer, track, sequence)
    if (track.stale && !track.reading) this.readAgain(peer, track)
  }

  receive (peer: Peer, { items: [sequence, ...events] }: Message): void {
    const track = this.tracks.get(peer)
    if (track === undefined || !Number.isSafeInteger(sequence)) return
    const number = sequence as number
    // Delivered twice, or after its loss was made up for.
    if (track.sequence !== undefined && number <= track.sequence) return
    if (track.sequence !== undefined && number > track.sequence + 1) this.lose(peer, track, number)
    track.sequence = number
    track.first ??= number
    for (const item of events) {
      if (!Array.isArray(item) || !isEvent(item[0])) continue
      const snapshot = readSnapshot(item[1], peer)
      if (snapshot === undefined) continue
      this.entries.update(item[0], snapshot)
      const entry = new RemoteEntry(snapshot)
      for (const { listener } of this.listeners) listener(item[0], entry)
    }
    this.heard(peer)
  }

  private async follow (peer: Peer): Promise<void> {
    const track: Track = { stale: false, reading: false }
    this.tracks.set(peer, track)
    if (!await this.findStart(peer, track)) this.lose(peer, track, track.sequence)
  }

  /**
   * Asks for the number after which no message may be missing. That of the first beat would not do: it counts messages that were
   * lost before it.
   * @returns whether none is missing so far
   */
  private async findStart (peer: Peer, track: Track): Promise<boolean> {
    const sequence = await this.host.sequenceOf(peer)
    if (this.tracks.get(peer) !== track) return true
    if (sequence === undefined) return false
    track.sequence ??= sequence
    return track.first === undefined || sequence >= track.first - 1
  }

  private lose (peer: Peer, track: Track, sequence: number | undefined): void {
    track.sequence = sequence
    track.stale = true
    this.tellGone(peer)
  }

  private async readAgain (peer: Peer, track: Track): Promise<void> {
    track.reading = true
    track.stale = false
    if (track.sequence === undefined && !await this.findStart(peer, track)) {
      track.reading = false
      track.stale = true
      return
    }
    const pages = this.reader.read(peer)
    let page = await pages.next()
    // Not after the peer has left, nor after the last listener was removed.
    for (; page.done !== true && this.tracks.get(peer) === track; page = await pages.next()) {
      for (const entry of page.value) {
        for (const { listener } of this.listeners) listener('snapshot', entry)
      }
    }
    track.reading = false
    // It is read again at its next beat.
    if (page.value === false) track.stale = true
  }

  private tellGone ({ id, pid, hostname }: Peer): void {
    for (const { onGone } of this.listeners) onGone?.({ id, pid, hostname })
  }
}
