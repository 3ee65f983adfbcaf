import type { FastifyBaseLogger } from 'fastify'
import type { Emitter, ProcessIdentity } from '../../types/process'
import type { ControlBackend } from '../shared/control-backend'
import { timers } from '../shared/timers'
import { ProcessesBackend } from './backend'
import { Channel } from './channel'
import { EventReceiver } from './event-receiver'
import { EventSender } from './event-sender'
import { LiveReader } from './live-reader'
import { TOPICS, decode, encode, type Message } from './messages'
import { Outbox } from './outbox'
import { Peers, type Beat, type Peer } from './peers'
import { Presence } from './presence'
import { RemoteEntries } from './remote-entries'
import { Requests } from './requests'
import { Responder } from './responder'

/** The most that a start, or a close, waits for the emitter, in ms. */
const EMITTER_TIMEOUT = 1_000
/** How long a new process waits for the beats of the others after its first, in ms. */
const JOIN_TIME = 100

interface ProcessesOptions {
  emitter: Emitter
  /** In ms. */
  peerTimeout: number
  /** In ms. */
  cancelTimeout: number
  identity: ProcessIdentity
  log: FastifyBaseLogger
}

/** This process among the others that share its emitter: answers them, and asks them. */
export class Processes {
  /** The tasks of all processes. */
  readonly backend: ControlBackend
  private readonly channel: Channel
  private readonly outbox: Outbox
  private readonly peers: Peers
  private readonly presence: Presence
  private readonly requests: Requests
  private readonly responder: Responder
  private readonly sender: EventSender
  private readonly receiver: EventReceiver
  private exposes = false
  /** Resolves when the others have had time to answer the first beat. */
  private joined: Promise<void> = Promise.resolve()
  private listening: Promise<void> = Promise.resolve()

  constructor (own: ControlBackend, private readonly options: ProcessesOptions) {
    const { emitter, identity, log, peerTimeout, cancelTimeout } = options
    const { id } = identity
    const entries = new RemoteEntries()
    const channel = this.channel = new Channel(emitter, log)
    this.outbox = new Outbox(id, channel)
    this.requests = new Requests(this.outbox, peerTimeout, () => channel.down)
    this.responder = new Responder({ id, own, outbox: this.outbox, cancelTimeout, log, sequence: () => this.sender.sequence })
    const reader = new LiveReader(this.requests, entries, () => this.exposes)
    this.sender = new EventSender(id, own, channel)
    this.receiver = new EventReceiver(entries, reader, this)
    this.peers = new Peers({
      joined: (peer) => this.receiver.join(peer),
      left: (peer) => this.lose(peer),
      changed: (peer) => this.notice(peer)
    })
    this.presence = new Presence({ id, channel, beat: () => this.beat(), onTick: () => this.peers.tick() })
    this.backend = new ProcessesBackend({ own, identity, requests: this.requests, receiver: this.receiver, reader, access: this })
  }

  /** Resolves when the others can reach this process, or when the emitter takes too long. */
  async open (): Promise<void> {
    const receive = (payload: unknown): void => this.receive(payload)
    const topics = [TOPICS.all, TOPICS.of(this.options.identity.id)]
    await within(EMITTER_TIMEOUT, Promise.all(topics.map((topic) => this.channel.subscribe(topic, receive))))
    const started = within(EMITTER_TIMEOUT, this.presence.start())
    this.joined = started.then(() => new Promise((resolve) => { timers.setTimeout(resolve, JOIN_TIME, undefined) }))
    await started
  }

  /** Announces that this process leaves. The emitter stays open: it belongs to the caller. */
  async close (): Promise<void> {
    this.presence.stop()
    this.requests.close()
    // Requests for tasks that the close has cancelled are answered a turn later.
    await new Promise((resolve) => { timers.setImmediate(resolve, undefined) })
    this.outbox.flush()
    this.sender.flush()
    this.sender.update({ listened: false, exposes: false })
    if (!this.channel.down) await within(EMITTER_TIMEOUT, this.channel.send(TOPICS.all, encode('bye', this.options.identity.id, [])))
    await within(EMITTER_TIMEOUT, this.channel.close())
  }

  // --- for the backend ---

  async reachable (): Promise<Peer[]> {
    await this.joined
    // A listener misses nothing between its subscription and what is read here.
    await this.listening
    return this.peers.all()
  }

  get exposesErrors (): boolean {
    return this.exposes
  }

  expose (): void {
    this.exposes = true
  }

  // --- for the receiver ---

  listen (): Peer[] {
    const subscribed = this.channel.subscribe(TOPICS.events, (payload) => this.receive(payload))
    // Not before: events that the others send at once would be missed.
    this.listening = within(EMITTER_TIMEOUT, subscribed).then(() => this.presence.beat())
    return this.peers.all()
  }

  async sequenceOf (peer: Peer): Promise<number | undefined> {
    await this.listening
    const { replies: [reply] } = await this.requests.request([peer], 'sequence', {})
    return Number.isSafeInteger(reply?.value) ? reply.value as number : undefined
  }

  unlisten (): void {
    this.channel.unsubscribe(TOPICS.events)
    this.presence.beat()
  }

  // --- inside ---

  private receive (payload: unknown): void {
    const message = decode(payload)
    if (message === undefined) return
    if (message.from !== this.options.identity.id) this.handle(message)
    else if (message.kind === 'beat') this.presence.receiveOwn()
  }

  private handle (message: Message): void {
    const { kind, from } = message
    const peer = this.peers.get(from)
    switch (kind) {
      case 'beat': if (this.peers.receiveBeat(message)) this.presence.greet(from); break
      case 'bye': this.peers.receiveBye(from); break
      case 'ask': this.responder.receive(message, (timeout) => this.peers.isLate(message, timeout)); break
      case 'answer': if (peer !== undefined) this.requests.receive(peer, message); break
      case 'events': if (peer !== undefined) this.receiver.receive(peer, message)
    }
  }

  private beat (): Beat {
    const { pid, hostname } = this.options.identity
    const listens = this.receiver.listening
    return { pid, hostname, listens, exposes: listens && this.exposes, sequence: this.sender.sequence }
  }

  private notice (peer: Peer): void {
    const listeners = this.peers.all().filter(({ beat }) => beat.listens)
    this.sender.update({ listened: listeners.length > 0, exposes: listeners.some(({ beat }) => beat.exposes) })
    this.receiver.heard(peer)
  }

  private lose (peer: Peer): void {
    this.requests.lose(peer)
    this.receiver.leave(peer)
  }
}

/** Resolves when the promise does, or the time is over. */
async function within (timeout: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([promise, new Promise((resolve) => { timer = timers.setTimeout(resolve, timeout, undefined) })])
  timers.clearTimeout(timer)
}
