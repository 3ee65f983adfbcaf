import t from 'tap'
import type { Channel } from '../../lib/processes/channel'
import { MAX_MESSAGE, decode } from '../../lib/processes/messages'
import { Outbox } from '../../lib/processes/outbox'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)

function outbox () {
  const sent: Array<[string, string, number]> = []
  const channel = {
    async send (topic: string, payload: string) {
      const { kind, items } = decode(payload)!
      sent.push([topic, kind, items.length])
      return true
    }
  }
  return { outbox: new Outbox('a', channel as unknown as Channel), sent }
}

t.test('items for one topic in one turn are sent as one message', async (t) => {
  const { outbox: box, sent } = outbox()
  box.push('x', 'ask', '1')
  box.push('x', 'answer', '2')
  box.push('y', 'ask', '3')
  box.push('x', 'ask', '4')
  t.same(sent, [])
  await time.turn()
  t.same(sent, [['x', 'ask', 2], ['x', 'answer', 1], ['y', 'ask', 1]])
  box.push('x', 'ask', '5')
  await time.turn()
  t.equal(sent.length, 4)
  box.flush()
  t.equal(sent.length, 4)
})

t.test('items that take more than half the room of a message are split, and none of the messages is empty', async (t) => {
  const half = MAX_MESSAGE / 2
  for (const [lengths, counts] of [
    [[half / 2, half / 2 - 1], [2]], [[half / 2, half / 2], [1, 1]], [[half + 1, 3, 3], [1, 2]]
  ] as Array<[number[], number[]]>) {
    const { outbox: box, sent } = outbox()
    for (const length of lengths) box.push('x', 'answer', JSON.stringify('x'.repeat(length - 2)))
    box.flush()
    t.same(sent, counts.map((count) => ['x', 'answer', count]))
  }
  await time.turn()
})

t.test('no message is larger than receivers accept', async (t) => {
  const { outbox: box, sent } = outbox()
  const item = JSON.stringify('x'.repeat(MAX_MESSAGE / 8))
  for (let i = 0; i < 10; i++) box.push('x', 'answer', item)
  await time.turn()
  t.equal(sent.reduce((sum, [,, count]) => sum + count, 0), 10)
  t.ok(sent.length >= 3)
})
