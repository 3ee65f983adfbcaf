import t from 'tap'
import type { Channel } from '../../lib/processes/channel'
import { EventReceiver } from '../../lib/processes/event-receiver'
import { EventSender } from '../../lib/processes/event-sender'
import type { LiveReader } from '../../lib/processes/live-reader'
import { decode, type Message } from '../../lib/processes/messages'
import type { Peer } from '../../lib/processes/peers'
import { RemoteEntries, RemoteEntry } from '../../lib/processes/remote-entries'
import type { ControlBackend, ControlEvent, LiveEntry, Snapshot } from '../../lib/shared/control-backend'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)

const snapshot = (name: string, more: object = {}): Snapshot => ({ name, state: 'running', createdAt: 1, ...more } as Snapshot)

function sender () {
  const sent: unknown[][] = []
  const confirm: Array<() => void> = []
  const channel = {
    down: false,
    send: (_topic: string, payload: string) => {
      sent.push(decode(payload)!.items)
      return new Promise<boolean>((resolve) => confirm.push(() => resolve(true)))
    }
  }
  let listener: ((event: ControlEvent, entry: LiveEntry) => void) | undefined
  const own = {
    subscribe: (call: typeof listener) => {
      listener = call
      return () => { listener = undefined }
    }
  } as unknown as ControlBackend
  const events = new EventSender('a', own, channel as unknown as Channel)
  const happen = (event: ControlEvent, name: string, more?: object): void => listener?.(event, new RemoteEntry(snapshot(name, more)))
  return { events, sent, channel, happen, listens: () => listener !== undefined, confirm: () => confirm.shift()!() }
}

t.test('without listeners nothing is subscribed to and nothing is sent', async (t) => {
  const { events, sent, happen, listens } = sender()
  events.update({ listened: false, exposes: false })
  t.notOk(listens())
  t.equal(events.sequence, undefined)
  events.update({ listened: true, exposes: false })
  events.update({ listened: true, exposes: true })
  happen('start', 'x')
  events.update({ listened: false, exposes: false })
  await time.pass(30, () => {})
  t.notOk(listens())
  t.same(sent, [])
})

t.test('events within some ms are sent as one message, and the next wait until the emitter has taken it', async (t) => {
  const { events, sent, happen, confirm } = sender()
  events.update({ listened: true, exposes: false })
  happen('start', 'x', { error: { code: 'E', message: 'secret' } })
  happen('end', 'x')
  await time.pass(30, () => {})
  t.match(sent, [[2, ['start', { name: 'x', error: { code: 'E' } }], ['end', { name: 'x' }]]])
  t.notOk(JSON.stringify(sent).includes('secret'))
  happen('start', 'y')
  await time.pass(100, () => {})
  t.equal(sent.length, 1)
  confirm()
  await time.settle()
  t.match(sent[1], [3, ['start', { name: 'y' }]])
  happen('start', 'z')
  await time.pass(4_900, () => {})
  t.equal(sent.length, 2)
  await time.pass(200, () => {})
  t.match(sent[2], [4, ['start', { name: 'z' }]], 'an emitter that lost its word is not waited for without end')
})

t.test('too many waiting events are dropped as one message, whose number is then missing', async (t) => {
  const { events, sent, happen } = sender()
  events.update({ listened: true, exposes: false })
  const progress = { text: 'x'.repeat(50_000) }
  for (let i = 0; i < 12; i++) happen('progress', 'x', { progress })
  await time.pass(30, () => {})
  t.equal(sent[0][0], 3)
  t.ok(sent[0].length < 5)
})

t.test('while the emitter is down events are lost, and their number is missing', async (t) => {
  const { events, sent, happen, channel } = sender()
  events.update({ listened: true, exposes: false })
  channel.down = true
  happen('start', 'x')
  await time.pass(30, () => {})
  t.same(sent, [])
  t.equal(events.sequence, 2)
})

function receiver (pages: Snapshot[][] | false = []) {
  const heard: string[] = []
  const host = {
    listened: 0,
    unlistened: 0,
    /** How often the tasks of the peer were read. */
    reads: 0,
    /** What the peer answers: the number of its last message. */
    sequence: 0 as number | undefined,
    listen: () => { host.listened++; return [peer] },
    unlisten: () => { host.unlistened++ },
    sequenceOf: async () => host.sequence
  }
  const peer = { id: 'b', pid: 1, hostname: 'h', beat: {} } as Peer
  const entries = new RemoteEntries()
  async function * readPages () {
    if (pages === false) return false
    for (const page of pages) yield page.map((one) => new RemoteEntry(one))
    return true
  }
  const reader = {
    read () {
      host.reads++
      return readPages()
    }
  } as unknown as LiveReader
  const events = new EventReceiver(entries, reader, host)
  const listen = (): () => void => events.add(
    (event, entry) => heard.push(`${event} ${entry.name} of ${entry.toJSON().process?.id}`),
    ({ id }) => heard.push(`gone ${id}`))
  const receive = (sequence: unknown, ...items: unknown[]): void => events.receive(peer, { items: [sequence, ...items] } as Message)
  const beat = (sequence?: number): void => {
    peer.beat = { pid: 1, hostname: 'h', sequence }
    events.heard(peer)
  }
  return { events, heard, host, peer, entries, listen, receive, beat }
}

t.test('each listener receives each event once', async (t) => {
  const { events, heard, listen, receive } = receiver()
  receive(1, ['start', snapshot('before')])
  t.notOk(events.listening)
  const leave = listen()
  receive(1, ['start', snapshot('x')], null, ['snapshot', snapshot('x')], ['end', {}], 1, [])
  receive(1, ['start', snapshot('twice')])
  receive(2, ['end', snapshot('x')])
  receive('3', ['start', snapshot('x')])
  leave()
  receive(3, ['start', snapshot('after')])
  t.same(heard, ['start x of b', 'end x of b'])
})

t.test('a second listener, and the first that leaves, change nothing', async (t) => {
  const { events, heard, listen, receive, host } = receiver()
  const [first, second] = [listen(), listen()]
  first()
  first()
  t.ok(events.listening)
  t.same([host.listened, host.unlistened], [1, 0])
  receive(1, ['start', snapshot('x')])
  t.equal(heard.length, 1)
  for (let i = 0; i < 2; i++) {
    second()
    t.notOk(events.listening)
    t.same([host.listened, host.unlistened], [1, 1])
  }
})

t.test('a process that joins is read at its first beat, once, and only while somebody listens', async (t) => {
  const { events, heard, host, listen, beat, peer } = receiver([[snapshot('live')]])
  events.join(peer)
  beat(1)
  await time.settle()
  t.equal(host.reads, 0)
  listen()
  events.join(peer)
  for (let i = 0; i < 2; i++) {
    beat()
    await time.settle()
  }
  t.equal(host.reads, 1)
  t.same(heard, ['snapshot live of undefined'])
})

t.test('a gap in the events of a process that is being read has it read again at its next beat', async (t) => {
  const { host, listen, receive, beat } = receiver([[snapshot('live')]])
  listen()
  for (const sequence of [1, 3, 5]) receive(sequence, ['start', snapshot('x')])
  await time.settle()
  t.equal(host.reads, 1)
  beat(5)
  await time.settle()
  t.equal(host.reads, 2)
})

t.test('after a gap the tasks of the process are read anew', async (t) => {
  const { heard, listen, receive } = receiver([[snapshot('live')]])
  listen()
  receive(1, ['start', snapshot('x')])
  receive(3, ['start', snapshot('y')])
  await time.settle()
  t.same(heard, ['start x of b', 'gone b', 'start y of b', 'snapshot live of undefined'])
})

t.test('a beat reveals a gap that no event follows, and so does the first one', async (t) => {
  const { heard, host, listen, beat } = receiver([[snapshot('live')]])
  host.sequence = 5
  listen()
  beat()
  beat(6)
  t.same(heard, [], 'of what has happened before the process answers, nothing is known yet')
  await time.settle()
  beat(5)
  t.same(heard, [])
  beat(6)
  await time.settle()
  t.same(heard, ['gone b', 'snapshot live of undefined'])
})

t.test('messages that were lost before the first one arrived are a gap too', async (t) => {
  for (const [first, expected] of [
    [4, ['start x of b']], [3, ['start x of b']], [6, ['start x of b', 'gone b', 'snapshot live of undefined']]
  ] as const) {
    const { heard, host, listen, receive, beat } = receiver([[snapshot('live')]])
    host.sequence = 3
    listen()
    receive(first, ['start', snapshot('x')])
    await time.settle()
    beat(first)
    await time.settle()
    t.same(heard, expected, String(first))
  }
})

t.test('a process that does not say its number is taken for gone, and read once it does', async (t) => {
  const { heard, host, listen, beat } = receiver([[snapshot('live')]])
  host.sequence = undefined
  listen()
  await time.settle()
  beat(7)
  await time.settle()
  t.same(heard, ['gone b'])
  host.sequence = 8
  beat(8)
  await time.settle()
  beat(8)
  t.same(heard, ['gone b', 'snapshot live of undefined'])
  beat(9)
  t.same(heard.slice(2), ['gone b'])
})

t.test('a process that joins is read, one that does not answer is read again at its next beat, and one that leaves is reported', async (t) => {
  const { events, heard, host, listen, beat, peer } = receiver(false)
  events.join(peer)
  events.leave(peer)
  listen()
  events.leave(peer)
  events.join(peer)
  for (const reads of [1, 2]) {
    beat()
    await time.settle()
    t.equal(host.reads, reads)
  }
  events.leave(peer)
  events.leave(peer)
  t.same(heard, ['gone b', 'gone b'])
})

t.test('tasks that are being read are not reported once their process, or the last listener, has left', async (t) => {
  const { events, heard, listen, beat, peer } = receiver([[snapshot('x')], [snapshot('y')]])
  const leave = listen()
  for (const [end, expected] of [[() => events.leave(peer), ['gone b']], [leave, []]] as const) {
    events.join(peer)
    beat()
    end()
    await time.settle()
    t.same(heard.splice(0), expected)
  }
})

t.test('a process that leaves before it has said its number is reported once', async (t) => {
  const { events, heard, host, listen, peer } = receiver()
  host.sequence = undefined
  listen()
  events.leave(peer)
  await time.settle()
  t.same(heard, ['gone b'])
})

t.test('a listener without onGone receives only events of tasks', async (t) => {
  const { events, peer } = receiver()
  events.add(() => {})
  t.doesNotThrow(() => events.leave(peer))
})

t.test('entries that are held are kept up to date, and tasks that ended while being read are omitted', async (t) => {
  const entries = new RemoteEntries()
  const process = { id: 'b', pid: 1, hostname: 'h' }
  const reading = entries.open()
  const other = entries.open()
  entries.update('end', snapshot('gone', { process, state: 'completed', endedAt: 2 }))
  entries.update('start', snapshot('x', { process }))
  const held = entries.hold([snapshot('x', { process }), snapshot('gone', { process })], reading)
  entries.close(reading)
  entries.close(other)
  t.same(held.map(({ name }) => name), ['x'])
  entries.update('end', snapshot('x', { process, state: 'completed', endedAt: 2 }))
  entries.update('end', snapshot('y', { process, state: 'completed', endedAt: 2 }))
  t.equal(held[0].toJSON().endedAt, 2)
  t.equal(held[0].createdAt, 1)
  t.equal(reading.size, 1, 'what ended after the reading is not kept')
})

t.test('entries that nobody holds are no longer kept up to date', async (t) => {
  const { WeakRef, FinalizationRegistry } = globalThis
  t.teardown(() => { Object.assign(globalThis, { WeakRef, FinalizationRegistry }) })
  let looked = 0
  let collected = (): void => {}
  // For the garbage collector to come by when the test says so.
  Object.assign(globalThis, {
    WeakRef: class {
      deref (): undefined {
        looked++
      }
    },
    FinalizationRegistry: class {
      constructor (private readonly forget: (held: unknown) => void) {}

      register (_target: object, held: unknown): void {
        collected = () => this.forget(held)
      }
    }
  })
  const entries = new RemoteEntries()
  const process = { id: 'b', pid: 1, hostname: 'h' }
  const [held] = entries.hold([snapshot('x', { process })], entries.open())
  entries.update('end', snapshot('x', { process, endedAt: 2 }))
  t.equal(looked, 1, 'before the garbage collector has said so')
  collected()
  for (let i = 0; i < 3; i++) entries.update('end', snapshot('x', { process, endedAt: 2 }))
  t.equal(held.toJSON().endedAt, undefined)
  t.equal(looked, 1)
})
