import t from 'tap'
import type { Message } from '../../lib/processes/messages'
import type { Outbox } from '../../lib/processes/outbox'
import type { Peer } from '../../lib/processes/peers'
import { Requests } from '../../lib/processes/requests'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)

const peer = (id: string): Peer => ({ id } as Peer)
const a = peer('a')
const b = peer('b')

function asker (down = false) {
  const sent: Array<[string, string, unknown]> = []
  const outbox = { push: (topic: string, kind: string, item: string) => sent.push([topic, kind, JSON.parse(item)]) } as unknown as Outbox
  const requests = new Requests(outbox, 100, () => down)
  const answer = (of: Peer, ...items: unknown[]): void => requests.receive(of, { items } as Message)
  return { requests, sent, answer }
}

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let done = false
  promise.then(() => { done = true })
  await time.settle()
  return done
}

t.test('one process is asked on its own topic, several on the shared topic', async (t) => {
  const { requests, sent } = asker()
  requests.request([a], 'get', { name: 'x' })
  requests.request([a, b], 'get', { name: 'x' })
  t.same(sent, [
    ['fastify-tasks/1/to/a', 'ask', [1, 'get', { name: 'x' }, 100]],
    ['fastify-tasks/1/all', 'ask', [2, 'get', { name: 'x' }, 100]]
  ])
  requests.close()
})

t.test('each answer counts once, and only from the processes that were asked', async (t) => {
  const { requests, answer } = asker()
  const asked = requests.request([a, b], 'get', {})
  answer(peer('c'), [1, 'ok', 'forged'])
  answer(a, null, 1, [], [2, 'ok', 1], [1, 'odd', 1], ['1', 'ok', 1], [1, 'ok', 'first'], [1, 'ok', 'second'])
  t.notOk(await settled(asked))
  answer(b, [1, 'failed'])
  t.same(await asked, { replies: [{ peer: a, status: 'ok', value: 'first' }], missing: ['b'] })
  answer(b, [1, 'ok', 'late'])
  t.equal(time.timers.size > 0, true)
  requests.close()
  t.equal(time.timers.size, 0)
})

t.test('those that do not answer in time are missing', async (t) => {
  const { requests, answer } = asker()
  const asked = requests.request([a, b], 'get', {})
  const other = requests.request([b], 'get', {})
  answer(b, [1, 'none'])
  await time.pass(99, () => {})
  t.notOk(await settled(asked))
  await time.pass(3, () => {})
  t.same(await asked, { replies: [{ peer: b, status: 'none', value: undefined }], missing: ['a'] })
  t.same(await other, { replies: [], missing: ['b'] })
  t.equal(time.timers.size, 0)
})

t.test('answers that arrived while the event loop was blocked count', async (t) => {
  const { requests, answer } = asker()
  const asked = requests.request([a], 'get', {})
  await time.turn()
  time.stall(1_000)
  answer(a, [1, 'ok', 1])
  await time.turn()
  t.same((await asked).missing, [])
})

t.test('a process that says it is at work gets the time it asks for, and no more', async (t) => {
  const { requests, answer } = asker()
  const asked = requests.request([a, b], 'cancel', {})
  answer(a, [1, 'working', 500], [1, 'working', 9_000], [1, 'working', 0])
  answer(b, [1, 'working', 'long'])
  await time.pass(590, () => {})
  t.notOk(await settled(asked))
  await time.pass(20, () => {})
  t.same(await asked, { replies: [], missing: ['b', 'a'] })
  t.equal(time.timers.size, 0)
})

t.test('the last answer, or one that is enough, ends the wait', async (t) => {
  const { requests, answer } = asker()
  const asked = requests.request([a, b], 'cancel', {}, ({ status }) => status === 'ok')
  answer(a, [1, 'working', 500])
  answer(b, [1, 'working', -1])
  answer(a, [1, 'ok', 1])
  t.same(await asked, { replies: [{ peer: a, status: 'ok', value: 1 }], missing: [] })
  requests.close()
  t.equal(time.timers.size, 0)
})

t.test('an answer that is enough ends the wait after a process that could not answer', async (t) => {
  const { requests, answer } = asker()
  const asked = requests.request([a, b, peer('c')], 'get', {}, ({ status }) => status === 'ok')
  answer(a, [1, 'failed'])
  answer(b, [1, 'ok', 1])
  t.same(await asked, { replies: [{ peer: b, status: 'ok', value: 1 }], missing: ['a'] })
  requests.close()
})

t.test('requests that still wait when this process closes end at once', async (t) => {
  const { requests, answer } = asker()
  const all = [requests.request([a, b], 'get', {}), requests.request([b], 'cancel', {})]
  t.equal(time.timers.size, 1, 'requests of one turn share a timer')
  answer(a, [1, 'none'])
  requests.close()
  t.match(await Promise.all(all), [{ replies: [{ peer: a }], missing: ['b'] }, { missing: ['b'] }])
  t.equal(time.timers.size, 0)
})

t.test('a process that leaves is no longer waited for', async (t) => {
  const { requests } = asker()
  const asked = requests.request([a, b], 'get', {})
  requests.lose(a)
  requests.lose(a)
  requests.lose(b)
  t.same(await asked, { replies: [], missing: ['a', 'b'] })
  requests.close()
})

t.test('nothing is sent without other processes, or while the emitter is down', async (t) => {
  t.same(await asker().requests.request([], 'get', {}), { replies: [], missing: [] })
  const { requests, sent } = asker(true)
  t.same(await requests.request([a], 'get', {}), { replies: [], missing: ['a'] })
  t.same(sent, [])
})
