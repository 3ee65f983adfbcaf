import t from 'tap'
import { Responder } from '../../lib/processes/responder'
import type { Message } from '../../lib/processes/messages'
import type { Outbox } from '../../lib/processes/outbox'
import type { ControlBackend, Found } from '../../lib/shared/control-backend'
import { fakeLog } from '../fixtures/log'

const found: Found = { name: 'a', state: 'running', createdAt: 1 }

for (const [title, own, message] of [
  ['an answer that is too large to cross', { get: () => ({ ...found, group: 'x'.repeat(2 ** 19) }) }, 'The answer is too large to cross'],
  ['an error that is nobody\'s request', { get () { throw new Error('broken') } }, 'broken']
] as const) {
  t.test(`${title} is logged here, and the other process is told that it failed`, async (t) => {
    const { log, warnings } = fakeLog()
    const answers: string[] = []
    const outbox = { push: (_topic: string, _kind: string, item: string) => { answers.push(item) } } as unknown as Outbox
    const responder = new Responder({ id: 'here', own: own as unknown as ControlBackend, outbox, cancelTimeout: 100, sequence: () => 1, log })
    responder.receive({ from: 'there', items: [[1, 'get', { name: 'a' }, 1_000]] } as unknown as Message, () => false)
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve))
    t.same(answers.map((answer) => JSON.parse(answer)), [[1, 'failed']])
    t.match(warnings, [[{ err: { message } }, 'A request of another process failed']])
  })
}

t.test('whoever begins to listen is told the number of the last message, if there are any', async (t) => {
  for (const sequence of [7, undefined]) {
    const answers: string[] = []
    const outbox = { push: (_topic: string, _kind: string, item: string) => { answers.push(item) } } as unknown as Outbox
    const responder = new Responder({ id: 'here', own: {} as ControlBackend, outbox, cancelTimeout: 100, sequence: () => sequence, log: fakeLog().log })
    responder.receive({ from: 'there', items: [[1, 'sequence', {}, 1_000]] } as unknown as Message, () => false)
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve))
    t.same(answers.map((answer) => JSON.parse(answer)), [[1, 'ok', sequence ?? null]])
  }
})
