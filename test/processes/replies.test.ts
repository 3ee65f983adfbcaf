import fc from 'fast-check'
import t from 'tap'
import { mergeSummaries, readCancelled, readPurged, readRefusal, readSummary } from '../../lib/processes/replies'

const here = { id: 'a', pid: 1, hostname: 'h' }
const counts = { pending: 1, running: 2, cancelling: 3, completed: 4, failed: 5, cancelled: 6 }
const numbers = { uptime: 1, heapUsed: 2, eventLoopDelay: 0.5 }

t.test('the valid parts of a summary are read', async (t) => {
  const summary = { counts: { ...counts, more: 1 }, groups: [{ group: 'g', counts }, null, { group: 1, counts }, { group: 'h' }], process: { ...numbers, id: 'other' } }
  t.same(readSummary(summary, here), { counts, groups: [{ group: 'g', counts }], process: { ...here, ...numbers } })
  t.same(readSummary({ counts, groups: [] }, here)!.process, { ...here, uptime: 0, heapUsed: 0, eventLoopDelay: 0 })
  for (const value of [undefined, null, 1, {}, { counts }, { counts, groups: {} }, { counts: { ...counts, failed: -1 }, groups: [] }, { counts: 1, groups: [] }]) {
    t.equal(readSummary(value, here), undefined)
  }
})

t.test('several summaries are added up', async (t) => {
  const process = { ...here, ...numbers }
  const one = { counts, groups: [{ group: 'g', counts }], process }
  const { counts: sum, groups, processes } = mergeSummaries([one, { ...one, groups: [...one.groups, { group: 'h', counts }] }])
  t.same(sum, { pending: 2, running: 4, cancelling: 6, completed: 8, failed: 10, cancelled: 12 })
  t.same(groups, [{ group: 'g', counts: sum }, { group: 'h', counts }])
  t.same(processes, [process, process])
})

t.test('of more groups than a summary has, those with the most live tasks are kept', async (t) => {
  const summary = (live: Partial<typeof counts>, ...groups: string[]) => ({
    counts, groups: groups.map((group) => ({ group, counts: { ...counts, pending: 0, running: 0, cancelling: 0, ...live } })), process: { ...here, ...numbers }
  })
  const { groups } = mergeSummaries([summary({}, ...Array.from({ length: 1_000 }, (_, i) => `idle-${i}`)), summary({ running: 1 }, 'few'), summary({ pending: 1, running: 1 }, 'many'), summary({ cancelling: 3 }, 'most')])
  t.equal(groups.length, 1_000)
  t.same(groups.slice(0, 4).map(({ group }) => group), ['most', 'many', 'few', 'idle-0'])
})

t.test('the numbers of cancelled and purged tasks are read', async (t) => {
  t.same(readCancelled({ cancelled: 2, remaining: ['x', 1, 'y'] }), { cancelled: 2, remaining: ['x', 'y'] })
  t.equal(readPurged({ purged: 3 }), 3)
  for (const value of [undefined, null, 1, {}, { cancelled: -1, remaining: [] }, { cancelled: 1 }, { cancelled: '1', remaining: [] }, { purged: 1.5 }, { purged: '1' }]) {
    t.equal(readCancelled(value), undefined)
    t.equal(readPurged(value), undefined)
  }
})

t.test('a refusal becomes an error of this process, with the message of the other', async (t) => {
  t.match(readRefusal(['FST_ERR_TASK_NO_LEASE', 'no lease'], 'x'), { code: 'FST_ERR_TASK_NO_LEASE', message: 'no lease', statusCode: 409 })
  t.match(readRefusal(['FST_ERR_TASK_NOT_LIVE', 'ended'], 'x'), { code: 'FST_ERR_TASK_NOT_LIVE', message: 'ended', statusCode: 409 })
  t.equal(readRefusal(['FST_ERR_TASK_NOT_LIVE', 'a'.repeat(10_000)], 'x').message.length, 1_001)
  for (const value of [undefined, null, {}, ['E_FORGED', 1]]) t.match(readRefusal(value, 'x'), { code: 'FST_ERR_TASK_NOT_LIVE', message: "Task 'x' is no longer live: it has ended" })
})

t.test('no published reply makes it throw', async (t) => {
  fc.assert(fc.property(fc.anything(), (value) => {
    readSummary(value, here)
    readCancelled(value)
    readPurged(value)
    readRefusal(value, 'x')
  }))
  t.pass()
})
