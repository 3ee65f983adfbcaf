import fc from 'fast-check'
import t from 'tap'
import { isEvent, readSnapshot, writeSnapshot } from '../../lib/processes/snapshots'
import type { Snapshot } from '../../lib/shared/control-backend'

const here = { id: 'a', pid: 1, hostname: 'h' }

const full = {
  name: 'x',
  group: 'g',
  state: 'failed',
  createdAt: 1,
  startedAt: 2,
  endedAt: 3,
  progress: { done: [1, { two: null }] },
  lease: { ttl: 5, remaining: -1 },
  reason: { code: 'WHY', message: 'secret' },
  error: { code: 'E', message: 'secret', stack: 'secret' }
} as unknown as Snapshot

const crossed = (snapshot: object, exposeErrors = true): any => readSnapshot(JSON.parse(writeSnapshot(snapshot as Snapshot, exposeErrors)), here)

t.test('a snapshot arrives unchanged, with the process that has sent it', async (t) => {
  t.same(crossed(full), { ...full, process: here })
  t.same(crossed({ name: 'x', state: 'running', createdAt: 1, progress: 0 }), { name: 'x', state: 'running', createdAt: 1, progress: 0, process: here })
  t.equal(crossed({ ...full, progress: 100 }).progress, 100)
  t.match(crossed({ ...full, error: { code: 'E' } }).error, { code: 'E', message: undefined })
  t.same(crossed({ ...full, process: { id: 'other', pid: 2, hostname: 'o' } }).process, here)
})

t.test('error text is sent only if a process may expose it', async (t) => {
  const text = writeSnapshot(full, false)
  t.notMatch(text, /secret/)
  t.match(crossed(full, false), { error: { code: 'E' }, reason: { code: 'WHY' } })
})

t.test('values that are too large are not sent', async (t) => {
  const long = 'x'.repeat(100_000)
  t.notOk('progress' in crossed({ ...full, progress: { long } }))
  const { error } = crossed({ ...full, error: { code: long, message: long, stack: long } })
  t.same([error.code.length, error.message.length, error.stack.length], [65_536, 65_536, 65_536])
  const around = JSON.stringify({ text: '' }).length
  for (const length of [65_536, 65_537]) t.equal('progress' in crossed({ ...full, progress: { text: 'x'.repeat(length - around) } }), length === 65_536)
})

t.test('invalid snapshots are ignored, and invalid members of a snapshot are omitted', async (t) => {
  for (const value of [undefined, null, 1, 'x', [], {}, { name: 'x', state: 'running' }, { name: '', state: 'running', createdAt: 1 }, { name: 'x', state: 'odd', createdAt: 1 }, { name: 'x', state: 'running', createdAt: '1' }]) {
    t.equal(readSnapshot(value, here), undefined)
  }
  let deep: object = {}
  for (let i = 0; i < 10_000; i++) deep = { deep }
  const read = readSnapshot({
    ...full,
    more: 1,
    group: 1,
    startedAt: -1,
    endedAt: 'never',
    progress: deep,
    lease: { ttl: 1, extra: 1 },
    error: { message: {} },
    reason: 'text'
  }, here)
  t.same(read, { name: 'x', state: 'failed', createdAt: 1, process: here })
  for (const progress of [-1, 101, [], 'half', null]) t.notOk('progress' in readSnapshot({ ...full, progress }, here)!)
})

t.test('a progress of more than 32 nested objects is omitted, wherever in it they are', async (t) => {
  const nested = (depth: number): object => depth === 1 ? {} : { deeper: nested(depth - 1) }
  t.same(crossed({ ...full, progress: nested(32) }).progress, nested(32))
  for (const progress of [nested(33), { shallow: 1, deep: nested(32) }, { deep: nested(32), shallow: 1 }]) {
    t.notOk('progress' in crossed({ ...full, progress }))
  }
})

t.test('no published message makes it throw', async (t) => {
  fc.assert(fc.property(fc.anything(), fc.dictionary(fc.constantFrom(...Object.keys(full)), fc.anything()), (value, parts) => {
    readSnapshot(value, here)
    readSnapshot({ name: 'x', state: 'running', createdAt: 1, ...parts }, here)
  }))
  t.pass()
})

t.test('only the events of a task are accepted as events', async (t) => {
  t.ok(isEvent('start'))
  for (const event of ['snapshot', 'gone', '', undefined, {}]) t.notOk(isEvent(event))
})
