import fc from 'fast-check'
import t from 'tap'
import { MAX_MESSAGE, TOPICS, decode, encode } from '../../lib/processes/messages'

t.test('a message is read as it was written', async (t) => {
  const message = decode(encode('events', 'a-1', ['1', '["x",{"y":2}]']))
  t.match(message, { kind: 'events', from: 'a-1', items: [1, ['x', { y: 2 }]] })
  t.ok(message!.at > 0)
  t.same(decode(encode('bye', 'a', []))!.items, [])
})

t.test('an invalid message is ignored', async (t) => {
  for (const payload of [
    undefined, null, 1, {}, Buffer.from('{}'), '', 'null', '[]', '1', '{', '{}', `"${'x'.repeat(MAX_MESSAGE)}"`,
    '{"kind":"beat"}', '{"kind":"delete","from":"a","at":1,"items":[]}', '{"kind":"beat","from":"a","at":1.5,"items":[]}',
    '{"kind":"beat","from":"a","at":1,"items":{}}', '{"kind":"beat","from":1,"at":1,"items":[]}',
    '{"kind":["beat"],"from":"a","at":1,"items":[]}'
  ]) t.equal(decode(payload), undefined)
})

t.test('a message larger than the largest is ignored, and so is one that is no string', async (t) => {
  const around = encode('bye', 'a', ['""']).length
  const largest = encode('bye', 'a', [JSON.stringify('x'.repeat(MAX_MESSAGE - around))])
  t.match(decode(largest), { kind: 'bye' })
  t.equal(decode(`${largest} `), undefined)
  t.equal(decode(Buffer.from(encode('bye', 'a', []))), undefined)
})

t.test('an id with characters special to a topic is refused', async (t) => {
  for (const id of ['', '#', '+', 'a/b', '*', 'a b', 'ä', 'a'.repeat(65), '__proto__/', '\n']) {
    t.equal(decode(`{"kind":"beat","from":${JSON.stringify(id)},"at":1,"items":[]}`), undefined)
  }
})

t.test('no published message makes it throw', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.anything()), (payload) => {
    decode(payload)
  }))
  t.pass()
})

t.test('each process has a topic of its own', async (t) => {
  t.equal(new Set([TOPICS.all, TOPICS.events, TOPICS.of('a'), TOPICS.of('b')]).size, 4)
})
