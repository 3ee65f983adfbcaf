import t from 'tap'
import { Peers, type Beat, type Peer } from '../../lib/processes/peers'
import type { Message } from '../../lib/processes/messages'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)

function heard () {
  const log: string[] = []
  const peers = new Peers({
    joined: ({ id }: Peer) => log.push(`joined ${id}`),
    left: ({ id }: Peer) => log.push(`left ${id}`),
    changed: ({ id }: Peer) => log.push(`changed ${id}`)
  })
  return { peers, log }
}

const beat = (from: string, at: number, more: object = {}): Message => ({ kind: 'beat', from, at, items: [{ pid: 1, hostname: 'h', ...more } satisfies Beat] })

t.test('a process is known from its first beat until it says goodbye', async (t) => {
  const { peers, log } = heard()
  t.equal(peers.receiveBeat(beat('a', 1, { hello: true })), true)
  t.equal(peers.receiveBeat(beat('b', 1)), false)
  t.match(peers.all(), [{ id: 'a', pid: 1, hostname: 'h' }, { id: 'b' }])
  peers.receiveBye('a')
  peers.receiveBye('a')
  peers.receiveBye('nobody')
  t.equal(peers.get('a'), undefined)
  t.same(log, ['joined a', 'changed a', 'joined b', 'changed b', 'left a', 'changed a'])
})

t.test('a beat that comes after the goodbye does not bring a process back', async (t) => {
  const { peers } = heard()
  peers.receiveBye('a')
  t.equal(peers.receiveBeat(beat('a', 1, { hello: true })), false)
  t.same(peers.all(), [])
  for (let i = 1; i < 1_000; i++) peers.receiveBye(`p${i}`)
  peers.receiveBeat(beat('a', 2))
  t.same(peers.all(), [])
  peers.receiveBye('p1000')
  peers.receiveBeat(beat('a', 2))
  peers.receiveBeat(beat('p1', 2))
  t.same(peers.all().map(({ id }) => id), ['a'], 'after a thousand others')
})

t.test('an invalid beat is ignored', async (t) => {
  const { peers } = heard()
  for (const item of [undefined, null, 1, [], {}, { pid: 1, hello: true }, { hostname: 'h', hello: true }, { pid: 'x', hostname: 'h' }, { pid: 1, hostname: 'h'.repeat(300) }, { pid: 1, hostname: [] }, { pid: 1, hostname: 'h', more: 1 }, { pid: 1, hostname: 'h', listens: 'yes' }]) {
    t.equal(peers.receiveBeat({ kind: 'beat', from: 'a', at: 1, items: [item] }), false, 'and is not answered')
  }
  t.same(peers.all(), [])
})

t.test('no more than a thousand are known, however many are forged', async (t) => {
  const { peers } = heard()
  let answered = 0
  for (let i = 0; i < 2_000; i++) answered += Number(peers.receiveBeat(beat(`p${i}`, 1, { hello: true })))
  t.equal(answered, 1_000)
  t.equal(peers.all().length, 1_000)
})

t.test('a process that misses three beats is forgotten, and one that is late is not', async (t) => {
  const { peers } = heard()
  peers.receiveBeat(beat('dead', 1))
  peers.receiveBeat(beat('slow', 1))
  for (let i = 1; i <= 3; i++) {
    peers.tick()
    t.ok(peers.get('dead'))
    if (i === 3) peers.receiveBeat(beat('slow', 2))
  }
  peers.tick()
  t.equal(peers.get('dead'), undefined)
  for (let i = 1; i <= 2; i++) peers.tick()
  t.ok(peers.get('slow'))
  peers.tick()
  t.equal(peers.get('slow'), undefined)
})

t.test('a beat that is delivered twice, or after a later one, is ignored', async (t) => {
  const { peers, log } = heard()
  peers.receiveBeat(beat('a', 2, { listens: true }))
  peers.receiveBeat(beat('a', 1, { listens: false }))
  t.equal(peers.receiveBeat(beat('a', 2, { hello: true })), true)
  t.equal(peers.get('a')!.beat.listens, true)
  t.same(log, ['joined a', 'changed a'])
})

t.test('a message is late by the clock of its sender, however the two differ', async (t) => {
  const { peers } = heard()
  const message = (at: number): Message => ({ kind: 'ask', from: 'a', at, items: [] })
  time.now = 5_000
  t.equal(peers.isLate(message(1), 0), false, 'of one that is not known')
  peers.receiveBeat(beat('a', 1_000_000))
  time.now = 6_000
  t.equal(peers.isLate(message(1_000_899), 100), true)
  t.equal(peers.isLate(message(1_000_900), 100), false)
  // The first beat was on its way for long: a quicker message corrects that.
  t.equal(peers.isLate(message(1_001_500), 100), false)
  t.equal(peers.isLate(message(1_001_300), 100), true)
})

t.test('a message is not late because two clocks drift apart', async (t) => {
  const { peers } = heard()
  time.now = 5_000
  for (let i = 0; i < 1_000; i++) {
    peers.receiveBeat(beat('a', i * 999))
    time.now += 1_000
  }
  t.equal(peers.isLate({ kind: 'ask', from: 'a', at: 1_000 * 999, items: [] }, 10), false)
})
