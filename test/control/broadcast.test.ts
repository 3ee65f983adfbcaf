import { EventEmitter } from 'node:events'
import { mock } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Broadcast, type BroadcastOptions } from '../../lib/control/feed/broadcast'
import type { ControlBackend, LiveEntry } from '../../lib/shared/control-backend'

/** A connection that takes what it is sent only when it is told to, and the texts of the messages it has taken. */
class FakeSocket extends EventEmitter {
  readyState = 1
  terminated = false
  pings = 0
  messages: any[] = []
  #pending: Array<() => void> = []
  #text = ''
  _socket = {
    writableLength: 0,
    write: (data: Buffer, written: () => void) => {
      this._socket.writableLength += data.length
      this.#pending.push(() => {
        this._socket.writableLength -= data.length
        this.#read(data)
        written()
      })
    }
  }

  terminate (): void {
    this.terminated = true
    this.readyState = 3
  }

  /** Takes so many writes. */
  take (count = Infinity): void {
    for (let i = 0; i < count && this.#pending.length > 0; i++) this.#pending.shift()!()
  }

  #read (data: Buffer): void {
    for (let at = 0; at < data.length;) {
      const [first, short] = data.subarray(at)
      const length = short === 126 ? data.readUInt16BE(at + 2) : short
      at += short === 126 ? 4 : 2
      if ((first & 0xf) === 9) {
        this.pings++
      } else {
        this.#text += data.subarray(at, at + length)
        if ((first & 0x80) !== 0) this.messages.push(JSON.parse(this.#text))
        if ((first & 0x80) !== 0) this.#text = ''
      }
      at += length
    }
  }
}

function setUp (t: Test, pages: LiveEntry[][], options: Partial<BroadcastOptions> = {}) {
  let listener!: Parameters<ControlBackend['subscribe']>[0]
  const subscriptions: boolean[] = []
  const backend = {
    live: () => pages,
    subscribe: (listen: typeof listener) => { listener = listen; subscriptions.push(true); return () => { subscriptions.pop() } }
  }
  const broadcast = new Broadcast(backend as unknown as ControlBackend, { exposeErrors: false, maxBuffer: 1_000, stallTimeout: 1_000, ...options })
  t.teardown(() => broadcast.close())
  const drops: string[] = []
  const join = (filter = {}): FakeSocket & { leave: () => void } => {
    const socket = Object.assign(new FakeSocket(), { leave: () => {} })
    socket.leave = broadcast.join(socket as never, filter, (reason) => drops.push(reason))
    return socket
  }
  return { broadcast, join, drops, subscriptions, emit: (name: string, more = {}) => listener('progress', entry(name, more)) }
}

const entry = (name: string, more: object = {}): LiveEntry => ({ name, createdAt: 1, toJSON: () => ({ name, createdAt: 1, state: 'running', ...more }) })
const names = ({ messages }: FakeSocket): string[] => messages.map(({ event, task }) => `${event} ${task.name}`)

t.test('a client that joins while events wait receives only later events', async (t) => {
  const { join, emit } = setUp(t, [[entry('a')]])
  const first = join()
  emit('before')
  const second = join()
  emit('after')
  await wait(20)
  for (const socket of [first, second]) socket.take()
  await wait(20)
  for (const socket of [first, second]) socket.take()
  t.same(names(first), ['snapshot a', 'progress before', 'progress after'])
  t.same(names(second), ['snapshot a', 'progress after'])
})

t.test('a client that joins while the last events wait receives none of them', async (t) => {
  const { join, emit } = setUp(t, [[entry('a')]])
  const first = join()
  emit('before')
  const second = join()
  await wait(20)
  for (const socket of [first, second]) socket.take()
  await wait(20)
  for (const socket of [first, second]) socket.take()
  t.same(names(first), ['snapshot a', 'progress before'])
  t.same(names(second), ['snapshot a'])
})

t.test('a client with more than maxBuffer waiting at once is dropped', async (t) => {
  const { join, emit, drops } = setUp(t, [], { maxBuffer: 500 })
  const first = join()
  emit('before')
  const second = join()
  for (let i = 0; i < 20; i++) emit(`after ${i}`)
  for (let i = 0; i < 30 && drops.length < 2; i++) await wait(10)
  t.same(drops, ['maxBuffer', 'maxBuffer'])
  t.ok(first.terminated && second.terminated)
})

t.test('a client that joins behind more events than are sent at once waits for its own', async (t) => {
  const { join, emit, drops } = setUp(t, [])
  const first = join()
  for (let i = 0; i < 30; i++) emit(`before ${i}`)
  const second = join()
  emit('after')
  for (let i = 0; i < 300 && second.messages.length === 0; i++) {
    await wait(5)
    for (const socket of [first, second]) socket.take()
  }
  t.equal(first.messages.length, 31)
  t.same(names(second), ['progress after'])
  t.same(drops, [])
})

t.test('a client that joins while events wait is dropped if its first events exceed maxBuffer', async (t) => {
  const { join, emit, drops } = setUp(t, [[entry('a')]])
  const first = join({ snapshots: false })
  emit('before')
  const second = join()
  emit('small')
  emit('large', { progress: { text: 'x'.repeat(5_000) } })
  for (let i = 0; i < 300 && drops.length === 0; i++) await wait(5)
  first.take()
  t.same(drops, ['maxBuffer'])
  t.ok(second.terminated)
  t.same(names(first), ['progress before', 'progress small', 'progress large'])
})

t.test('with too many events, all are sent at once', async (t) => {
  const { join, emit, drops } = setUp(t, [])
  join()
  const text = 'x'.repeat(2 ** 20)
  for (let i = 0; i < 35; i++) emit('a', { progress: { text } })
  await wait(300)
  t.same(drops, ['maxBuffer'])
})

t.test('events that wait are older than snapshots that are still to come', async (t) => {
  const entries = Array.from({ length: 20 }, (_, i) => entry(`t-${i}`))
  const { join, emit } = setUp(t, [entries], { maxBuffer: 2_000 })
  const socket = join()
  for (let i = 0; i < 50; i++) {
    emit(`e-${i}`)
    await wait(1)
    socket.take(1)
  }
  for (let i = 0; i < 100 && socket.messages.length < 70; i++) {
    await wait(5)
    socket.take()
  }
  t.same(names(socket).filter((name) => name.startsWith('snapshot')), entries.map(({ name }) => `snapshot ${name}`))
  t.same(names(socket).filter((name) => name.startsWith('progress')), Array.from({ length: 50 }, (_, i) => `progress e-${i}`))
})

t.test('a ping waits for the data ahead of it, and a pong keeps the client', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { join, drops } = setUp(t, [[entry('a')]], { stallTimeout: 600_000 })
  const [reading, stalled, answering] = [join(), join(), join()]
  const take = (): void => { reading.take(); answering.take() }
  take()
  mock.timers.tick(30_000)
  take()
  answering.emit('pong', Buffer.alloc(0))
  t.same([reading.pings, stalled.pings, answering.pings], [1, 0, 1])
  mock.timers.tick(30_000)
  t.same(drops, ['ping'])
  t.ok(reading.terminated)
  t.notOk(stalled.terminated)
  t.notOk(answering.terminated)
})

t.test('the pong to a mark between the data is progress, another one is not', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { join, drops } = setUp(t, [[entry('a', { progress: { text: 'x'.repeat(100_000) } })]], { stallTimeout: 1_000 })
  const [silent, answering, guessing] = [join(), join(), join()]
  const pong = (socket: FakeSocket, mark: number): void => { socket.emit('pong', Buffer.from([0, 0, 0, mark])) }
  mock.timers.tick(1_000)
  pong(answering, 1)
  pong(guessing, 9)
  guessing.emit('pong', Buffer.alloc(0))
  mock.timers.tick(250)
  t.same(drops, ['stallTimeout', 'stallTimeout'])
  t.same([silent, answering, guessing].map(({ terminated }) => terminated), [true, false, true])
  mock.timers.tick(750)
  pong(answering, 1)
  mock.timers.tick(250)
  t.ok(answering.terminated, 'the same one again is none either')
})

t.test('a client that joins after the close is disconnected', async (t) => {
  const { broadcast, join, subscriptions } = setUp(t, [])
  const before = join()
  broadcast.close()
  const after = join()
  after.leave()
  t.ok(before.terminated && after.terminated)
  t.same(subscriptions, [])
})

t.test('a client that has left receives nothing', async (t) => {
  const { join, emit, subscriptions } = setUp(t, [[entry('a')]])
  const [one, other] = [join(), join()]
  one.leave()
  one.leave()
  emit('b')
  await wait(20)
  for (const socket of [one, other]) socket.take()
  await wait(20)
  for (const socket of [one, other]) socket.take()
  t.same(names(other), ['snapshot a', 'progress b'])
  t.same(names(one), ['snapshot a'])
  other.leave()
  t.same(subscriptions, [])
})

t.test('a message is encoded once for all, and again when it may have changed', async (t) => {
  let encoded = 0
  const task: LiveEntry = { name: 'a', createdAt: 1, toJSON: () => { encoded++; return { name: 'a', createdAt: 1, state: 'running' } } }
  const { join } = setUp(t, [[task]])
  for (let i = 0; i < 10; i++) join()
  t.equal(encoded, 1)
  const now = performance.now()
  t.capture(performance, 'now', () => now + 1_500)
  join()
  t.equal(encoded, 2)
})
