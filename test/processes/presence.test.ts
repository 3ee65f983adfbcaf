import t, { type Test } from 'tap'
import type { Channel } from '../../lib/processes/channel'
import { Processes } from '../../lib/processes'
import { decode } from '../../lib/processes/messages'
import { Presence } from '../../lib/processes/presence'
import type { ControlBackend } from '../../lib/shared/control-backend'
import { processIdentity } from '../../lib/shared/process-info'
import { FakeTime } from '../fixtures/fake-time'
import { fakeLog } from '../fixtures/log'

const time = new FakeTime()
t.teardown(time.restore)

/** A channel whose emitter does what it is told. */
function present (t: Test) {
  const sent: Array<{ topic: string, hello?: boolean }> = []
  const channel = {
    down: false,
    received: false,
    failed: false,
    resubscribed: 0,
    /** Whether the emitter takes messages, and whether it brings them back. */
    takes: true,
    returns: true,
    send: async (topic: string, payload: string) => {
      sent.push({ topic, ...decode(payload)!.items[0] as object })
      if (!channel.takes) return false
      if (channel.returns) {
        channel.received = true
        presence.receiveOwn()
      }
      return true
    },
    fail: () => { channel.down = true },
    recover: () => { channel.down = false },
    resubscribe: () => { channel.resubscribed++ }
  }
  let ticks = 0
  const presence = new Presence({
    id: 'a', channel: channel as unknown as Channel, beat: () => ({ pid: 1, hostname: 'h' }), onTick: () => { ticks++ }
  })
  t.teardown(() => presence.stop())
  const seconds = (count: number): Promise<void> => time.pass(count * 1_000, () => {})
  return { presence, channel, sent, seconds, ticks: () => ticks }
}

t.test('a process announces itself, and then sends a beat once a second', async (t) => {
  const { presence, sent, seconds, ticks } = present(t)
  await presence.start()
  await seconds(3)
  t.same(sent.map(({ hello }) => hello), [true, undefined, undefined, undefined])
  t.equal(ticks(), 3)
  presence.greet('b')
  presence.beat()
  t.match(sent.slice(-2), [{ topic: 'fastify-tasks/1/to/b' }, { topic: 'fastify-tasks/1/all' }])
  presence.stop()
  await seconds(3)
  t.equal(sent.length, 6)
})

t.test('an emitter that takes nothing is down from the second beat on, until it takes them again', async (t) => {
  const { presence, channel, seconds, ticks } = present(t)
  await presence.start()
  await seconds(1)
  channel.takes = false
  await seconds(2)
  t.equal(channel.down, false)
  await seconds(1)
  t.equal(channel.down, true)
  const before = ticks()
  await seconds(10)
  t.equal(ticks(), before, 'nobody is taken for dead meanwhile')
  t.equal(channel.resubscribed, 0)
  channel.takes = true
  await seconds(2)
  t.equal(channel.down, false)
})

t.test('an emitter that was taken at its word and fails later is down until a beat is delivered', async (t) => {
  const { presence, channel, seconds, ticks } = present(t)
  channel.returns = false
  await presence.start()
  await seconds(3)
  t.equal(ticks(), 3)
  // The beats since then are still thought to be delivered.
  channel.failed = true
  channel.down = true
  await seconds(1)
  t.same([channel.down, ticks()], [true, 3])
  await seconds(1)
  t.same([channel.down, ticks()], [false, 4])
})

t.test('an emitter that brings nothing back any more is down, and is subscribed to again', async (t) => {
  const { presence, channel, seconds } = present(t)
  await presence.start()
  await seconds(1)
  channel.returns = false
  await seconds(5)
  t.equal(channel.down, true)
  t.equal(channel.resubscribed, 1)
  channel.returns = true
  await seconds(2)
  t.equal(channel.down, false)
})

t.test('an emitter that never brings back what a process sends is not down', async (t) => {
  const { presence, channel, seconds, ticks } = present(t)
  channel.returns = false
  await presence.start()
  await seconds(4)
  t.equal(channel.down, false)
  t.equal(ticks(), 4)
})

t.test('the first request of a process waits 100 ms for the beats of the others', async (t) => {
  const emitter = {
    on: (_topic: string, _listener: unknown, done?: () => void) => done?.(),
    removeListener: (_topic: string, _listener: unknown, done?: () => void) => done?.(),
    emit: (_message: unknown, done?: () => void) => done?.()
  }
  const own = { purge: () => ({ purged: 0 }) } as unknown as ControlBackend
  const processes = new Processes(own, { emitter, peerTimeout: 300, cancelTimeout: 20, identity: processIdentity(), log: fakeLog().log })
  await processes.open()
  let answered = false
  Promise.resolve(processes.backend.purge()).then(() => { answered = true })
  await time.pass(99, () => {})
  t.notOk(answered)
  await time.pass(2, () => {})
  t.ok(answered)
})
