import { EventEmitter } from 'node:events'
import t from 'tap'
import { Channel } from '../../lib/processes/channel'
import type { Emitter } from '../../index'
import { logged } from '../fixtures/app'
import { FakeTime } from '../fixtures/fake-time'
import { pino } from '../fixtures/processes'

type Listener = Parameters<Emitter['on']>[1]

/** An emitter that keeps what it is told to do. */
class FakeEmitter implements Emitter {
  readonly subscribed = new Map<string, Listener>()
  readonly sent: unknown[] = []
  readonly removed: Listener[] = []
  on (topic: string, listener: Listener, done?: () => void): void {
    this.subscribed.set(topic, listener)
    done!()
  }

  removeListener (topic: string, listener: Listener, done?: () => void): void {
    this.removed.push(listener)
    if (this.subscribed.get(topic) === listener) this.subscribed.delete(topic)
    done!()
  }

  emit (message: { topic: string, payload: string }, done?: (error?: any) => void): void {
    this.sent.push(message)
    done!()
  }
}

function channelOf (emitter: Emitter) {
  const { lines, logger } = logged()
  return { lines, channel: new Channel(emitter, pino(logger)) }
}

t.test('messages are received until the unsubscribe', async (t) => {
  const emitter = new FakeEmitter()
  const { channel } = channelOf(emitter)
  const received: unknown[] = []
  await channel.subscribe('a', (payload) => received.push(payload))
  t.equal(channel.received, false)
  let acknowledged = 0
  emitter.subscribed.get('a')!({ topic: 'a', payload: 'x' }, () => acknowledged++)
  emitter.subscribed.get('a')!(undefined, undefined as never)
  t.same(received, ['x', undefined])
  t.equal(acknowledged, 1)
  t.equal(channel.received, true)
  await channel.unsubscribe('a')
  await channel.unsubscribe('b')
  t.equal(emitter.subscribed.size, 0)
  t.equal(emitter.removed.length, 1)
})

t.test('a message that cannot be handled does not throw into the emitter', async (t) => {
  const emitter = new FakeEmitter()
  const { channel, lines } = channelOf(emitter)
  await channel.subscribe('a', () => { throw new Error('oh') })
  let acknowledged = 0
  emitter.subscribed.get('a')!({ topic: 'a', payload: 'x' }, () => acknowledged++)
  t.equal(acknowledged, 1)
  t.match(lines, [{ level: 20, msg: 'A message of another process could not be handled', topic: 'a', err: { message: 'oh' } }])
})

t.test('an emitter that throws, or fails, is down, and logged once per outage', async (t) => {
  const emitter = new FakeEmitter()
  const { channel, lines } = channelOf(emitter)
  t.same([channel.down, channel.failed], [false, false])
  emitter.emit = () => { throw new Error('thrown') }
  t.equal(await channel.send('a', 'x'), false)
  t.same([channel.down, channel.failed], [true, true])
  emitter.emit = (_message, done) => done!(new Error('failed'))
  t.equal(await channel.send('a', 'x'), false)
  channel.fail()
  t.match(lines.filter(({ level }) => level >= 40), [{ msg: /^The emitter does not deliver/, err: { message: 'thrown' } }])
  channel.recover()
  channel.recover()
  t.equal(channel.down, false)
  await channel.send('a', 'x')
  t.match(lines.filter(({ level }) => level >= 40), [{}, { err: { message: 'failed' } }])
  t.equal(lines.filter(({ msg }) => msg === 'The emitter delivers again').length, 1)
})

t.test('an emitter whose methods are async and reject is down, and logged once per outage', async (t) => {
  const emitter = new FakeEmitter()
  const { channel, lines } = channelOf(emitter)
  emitter.emit = async () => { throw new Error('emit') }
  await channel.send('a', 'x')
  await channel.send('a', 'x')
  t.equal(channel.down, true)
  emitter.on = async () => { throw new Error('on') }
  emitter.removeListener = async () => { throw new Error('removeListener') }
  await channel.subscribe('a', () => {})
  await channel.unsubscribe('a')
  t.match(lines.filter(({ level }) => level >= 40), [{ err: { message: 'emit' } }])
  t.equal(lines.filter(({ level }) => level >= 40).length, 1)
})

t.test('an emitter that throws where it should subscribe is down', async (t) => {
  const emitter = new FakeEmitter()
  const { channel } = channelOf(emitter)
  emitter.on = () => { throw new Error('no') }
  await channel.subscribe('a', () => {})
  t.equal(channel.down, true)
})

t.test('an emitter that never calls back counts as delivering, one that does is waited for', async (t) => {
  const emitter = new FakeEmitter()
  const { channel } = channelOf(emitter)
  const emit = emitter.emit
  emitter.emit = () => {}
  t.equal(await channel.send('a', 'x'), true)
  emitter.emit = emit
  t.equal(await channel.send('a', 'x'), true)
  let confirm: (error?: unknown) => void = () => {}
  emitter.emit = (_message, done) => { confirm = done! }
  let taken = false
  channel.send('a', 'x').then(() => { taken = true })
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(taken, false)
  confirm(null)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(taken, true)
})

t.test('an emitter that never calls back, and threw or rejected once, counts as delivering again', async (t) => {
  for (const fail of [() => { throw new Error('no') }, async () => { throw new Error('no') }]) {
    const emitter = new FakeEmitter()
    const { channel } = channelOf(emitter)
    emitter.emit = fail
    await channel.send('a', 'x')
    t.equal(channel.down, true)
    emitter.emit = () => {}
    t.equal(await Promise.race([channel.send('a', 'x'), new Promise((resolve) => setTimeout(resolve, 100, 'never'))]), true)
  }
})

t.test('subscriptions are made again, and end at the close', async (t) => {
  const emitter = new FakeEmitter()
  const { channel } = channelOf(emitter)
  const received: unknown[] = []
  await channel.subscribe('a', (payload) => received.push(payload))
  const [before] = emitter.subscribed.values()
  channel.resubscribe()
  channel.resubscribe()
  const [after] = emitter.subscribed.values()
  t.not(after, before)
  t.equal(emitter.removed[0], before)
  t.equal(emitter.removed.length, 2)
  after({ topic: 'a', payload: 'x' }, () => {})
  t.same(received, ['x'])
  await channel.close()
  t.equal(emitter.subscribed.size, 0)
})

t.test('what mqemitter-redis throws in its connection handlers does not end the process', async (t) => {
  const state = new EventEmitter()
  const subConn = new EventEmitter()
  const emitter = Object.assign(new FakeEmitter(), { state, subConn })
  const handled: unknown[] = []
  for (const event of ['messageBuffer', 'pmessageBuffer']) {
    subConn.on(event, (topic: string) => {
      if (topic === 'garbage') throw new Error('cannot decode')
      handled.push(topic)
    })
  }
  const one = channelOf(emitter)
  const other = channelOf(emitter)
  t.equal(state.listenerCount('error'), 1, 'for all apps that share the emitter')
  subConn.emit('messageBuffer', 'fine')
  t.same(handled, ['fine'])
  for (let i = 0; i < 100; i++) subConn.emit('messageBuffer', 'garbage')
  subConn.emit('pmessageBuffer', 'garbage')
  t.match(one.lines, [{ level: 50, msg: 'A message of the emitter could not be handled', err: { message: 'cannot decode' } }])
  t.equal(one.lines.length, 1, 'a flood is logged once')
  state.emit('error', new Error('ECONNREFUSED'))
  one.channel.fail()
  t.match(one.lines[1], { level: 40, err: { message: 'ECONNREFUSED' } })

  await one.channel.close()
  await other.channel.close()
  state.emit('error', new Error('still away'))
  t.throws(() => subConn.emit('messageBuffer', 'garbage'), { message: 'cannot decode' }, 'as it was before')
})

t.test('messages that mqemitter-redis cannot decode are logged once a minute', async (t) => {
  const time = new FakeTime()
  t.teardown(time.restore)
  const subConn = new EventEmitter()
  subConn.on('messageBuffer', () => { throw new Error('cannot decode') })
  const { lines } = channelOf(Object.assign(new FakeEmitter(), { state: new EventEmitter(), subConn }))
  for (const [now, logged] of [[0, 1], [59_999, 1], [60_000, 2], [119_999, 2], [120_000, 3]]) {
    time.now = now
    subConn.emit('messageBuffer')
    t.equal(lines.length, logged)
  }
})

t.test('an emitter with other members of these names is left as it is', async (t) => {
  for (const members of [
    {}, { state: new EventEmitter() }, { subConn: new EventEmitter() }, { state: {}, subConn: new EventEmitter() }, { state: new EventEmitter(), subConn: {} }
  ] as Array<Record<string, EventEmitter>>) {
    const { channel } = channelOf(Object.assign(new FakeEmitter(), members))
    await channel.close()
    for (const member of Object.values(members)) t.same(member.eventNames?.() ?? [], [])
    t.equal(channel.down, false)
  }
})
