import t from 'tap'
import { Expiries } from '../../lib/jobs/expiries'
import { Schedules } from '../../lib/jobs/schedules'
import type { Stored } from '../../lib/jobs/serialization'
import { fakeLog } from '../fixtures/log'
import { memoryEngine, MemoryQueue } from '../fixtures/memory-engine'

/** A queue with the schedulers of BullMQ's that a test puts there: what of them is listed, and the data of each. */
class ScheduledQueue extends MemoryQueue {
  schedulers: object[] = []
  readonly upserted: any[] = []
  readonly kept = new Map<string, { stamp?: number }>()
  onRemove = (): void => {}

  async upsertJobScheduler (...args: any[]): Promise<void> {
    this.upserted.push(structuredClone(args))
    this.kept.set(args[0], structuredClone(args[2].data))
  }

  async removeJobScheduler (key: string): Promise<boolean> {
    this.onRemove()
    return this.kept.delete(key)
  }

  async getJobSchedulers (): Promise<object[]> { return this.schedulers }

  override getBackend (): ReturnType<MemoryQueue['getBackend']> {
    const getJobSchedulerData = async (key: string): Promise<object | null> => this.kept.has(key) ? { data: JSON.stringify(this.kept.get(key)) } : null
    return { ...super.getBackend(), getJobSchedulerData } as never
  }
}

function schedulesOn (options: object = {}, [queue, other] = [new ScheduledQueue(), new ScheduledQueue()]) {
  const { log, warnings } = fakeLog()
  const { engine } = memoryEngine(queue, other)
  const expiries = new Expiries(engine, { afterNoting: (_job, run) => run })
  const schedules = new Schedules(engine, new Map([['kind', { options: { queue: 'default', ...options } }]]) as never, expiries, log)
  return { schedules, queue, other, warnings }
}

const tickOf = (due: number, repeat: object, more: object = {}): Stored => ({
  id: `repeat:nightly:${due}`, opts: { repeat }, data: { schedule: 'nightly', kind: 'kind', payload: { name: 'nightly', data: 7 }, options: {}, ...more }
}) as unknown as Stored

t.test('what cannot be a schedule is refused by name, and nothing is stored', async (t) => {
  const { schedules, queue } = schedulesOn()
  const kind = 'kind'
  for (const [option, options, received] of [
    ['kind', { every: 1 }, 'undefined'],
    ['every', { kind }, 'undefined'],
    ['every', { kind, every: 1, pattern: '* * * * *' }, '1'],
    ['every', { kind, every: 0 }, '0'],
    ['pattern', { kind, pattern: 'at noon' }, "'at noon'"],
    ['pattern', { kind, pattern: '0 3 * *' }, "'0 3 * *'"],
    ['pattern', { kind, pattern: '0 0 3 * * * *' }, "'0 0 3 * * * *'"],
    ['pattern', { kind, pattern: '@noon' }, '[redacted]'],
    ['pattern', { kind, pattern: '61 * * * *' }, "'61 * * * *'"],
    ['pattern', { kind, pattern: '0 0 30 2 *' }, "'0 0 30 2 *'"],
    ['tz', { kind, every: 1, tz: 'Europe/Berlin' }, "'Europe/Berlin'"],
    ['tz', { kind, pattern: '* * * * *', tz: 'Europe/Nowhere' }, "'Europe/Nowhere'"],
    ['startDate', { kind, every: 1, startDate: 'never' }, "'never'"],
    ['endDate', { kind, every: 1, endDate: new Date(0) }, '1970-01-01T00:00:00.000Z'],
    ['delay', { kind, every: 1, delay: 1 }, '']
  ] as const) {
    const rejected = await t.rejects(schedules.add('nightly', options as never), { code: 'FST_ERR_JOB_INVALID_OPTION' }) as Error
    t.ok(rejected.message.includes(`'${option}'`) && rejected.message.includes(received), rejected.message)
  }
  for (const name of ['', 'nul \0']) {
    await t.rejects(schedules.add(name, { kind, every: 1 }), { code: /^FST_ERR_JOB_INVALID_/ })
  }
  await t.rejects(schedules.remove(''), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
  t.equal(await schedules.remove('nul \0'), false, 'a name that none can have')
  t.same(queue.upserted, [])
})

t.test('a schedule has an interval, or a pattern with or without seconds, and perhaps an end', async (t) => {
  const { schedules, queue } = schedulesOn()
  const endDate = new Date(Date.now() + 60_000)
  const times = [
    { every: 1_000 }, { every: 1_000, limit: 2, endDate }, { pattern: '0 3 * * *' }, { pattern: ' 30 0 3  * * * ' }, { pattern: '@daily' },
    { pattern: '0 3 * * *', tz: 'Europe/Berlin', startDate: endDate }
  ]
  for (const time of times) await schedules.add('nightly', { kind: 'kind', data: 7, ...time })
  t.same(queue.upserted.map(([, repeat]) => repeat), times)
  const [key, , { name, data: { stamp, ...template }, opts }] = queue.upserted[0]
  t.equal(key, 'nightly')
  t.same({ name, opts }, { name: 'fastify-tasks:tick', opts: { attempts: 60, backoff: { type: 'fixed', delay: 1_000 }, removeOnComplete: true, removeOnFail: 100 } })
  t.match(template, { schedule: 'nightly', kind: 'kind', payload: { name: 'nightly', data: 7 } })
  t.notOk('expiresIn' in template || 'jobId' in template.options || 'deduplication' in template.options)
})

t.test('a schedule is removed from whichever queue it is in', async (t) => {
  const { schedules, queue, other } = schedulesOn()
  other.kept.set('nightly', {})
  t.equal(await schedules.remove('nightly'), true)
  t.same([queue.kept.size, other.kept.size], [0, 0])
  t.equal(await schedules.remove('nightly'), false)
})

t.test('a schedule that has no further time is told as it was made', async (t) => {
  const { schedules } = schedulesOn()
  t.same(await schedules.add('nightly', { kind: 'kind', every: 1_000, limit: 1 }), { name: 'nightly', kind: 'kind', queue: 'default', every: 1_000, limit: 1 })
})

t.test('a schedule of that name in another queue is not the one that was made', async (t) => {
  const { schedules, other } = schedulesOn()
  other.schedulers = [{ key: 'nightly', name: 'fastify-tasks:tick', every: 5, next: 9 }]
  t.match(await schedules.add('nightly', { kind: 'kind', every: 1_000 }), { queue: 'default', every: 1_000 })
})

t.test('of schedules of one name in two queues that which was made last remains, whatever the clocks say', async (t) => {
  const { schedules, queue, other } = schedulesOn()
  const later = Date.now() + 60_000
  other.kept.set('nightly', { stamp: later })
  await schedules.add('nightly', { kind: 'kind', every: 1_000 })
  t.equal(queue.kept.get('nightly')!.stamp, later + 1)
  t.same([...other.kept.keys()], [])
  // One of before there were stamps.
  other.kept.set('nightly', {})
  await schedules.add('nightly', { kind: 'kind', every: 1_000 })
  t.same([...other.kept.keys()], [])
})

t.test('of schedules that are made in two queues at once exactly one remains', async (t) => {
  const { schedules, queue, other } = schedulesOn()
  const { schedules: elsewhere } = schedulesOn({ queue: 'queue-1' }, [queue, other])
  for (const first of [schedules, elsewhere]) {
    const second = first === schedules ? elsewhere : schedules
    await Promise.all([first.add('nightly', { kind: 'kind', every: 1_000 }), second.add('nightly', { kind: 'kind', every: 1_000 })])
    t.equal(queue.kept.size + other.kept.size, 1)
  }
})

t.test('a schedule that others have removed meanwhile is made again, a few times', async (t) => {
  const { schedules, queue, other } = schedulesOn()
  other.kept.set('nightly', {})
  other.onRemove = () => {
    other.onRemove = () => {}
    queue.kept.clear()
  }
  await schedules.add('nightly', { kind: 'kind', every: 1_000 })
  t.same([[...queue.kept.keys()], queue.upserted.length], [['nightly'], 2])
  Object.defineProperty(queue.kept, 'set', { value: () => {} })
  queue.kept.clear()
  await schedules.add('nightly', { kind: 'kind', every: 1_000 })
  t.equal(queue.upserted.length, 2 + 5)
})

t.test('a tick of a schedule that was replaced in another queue adds nothing, and removes it', async (t) => {
  const { schedules, queue, other } = schedulesOn()
  queue.kept.set('nightly', { stamp: 1 })
  other.kept.set('nightly', { stamp: 2 })
  await schedules.tick('default', tickOf(Date.now(), { every: 60_000 }))
  t.equal(queue.entries.size, 0)
  t.same([queue.kept.size, other.kept.size], [0, 1])
  queue.kept.set('nightly', { stamp: 2 })
  await schedules.tick('queue-1', tickOf(Date.now(), { every: 60_000 }))
  t.same([queue.kept.size, other.kept.size], [1, 0], 'of the same stamp every process keeps the same')
})

t.test('schedules that have reached their end are not listed', async (t) => {
  const { schedules, queue } = schedulesOn()
  const [past, future] = [Date.now() - 1_000, Date.now() + 60_000]
  queue.schedulers = [
    { key: 'limit', name: 'x', every: 5, limit: 2, iterationCount: 2, next: past },
    { key: 'date', name: 'x', every: 5, endDate: past, next: past },
    { key: 'last', name: 'x', every: 5, limit: 2, iterationCount: 2, next: future },
    { key: 'late', name: 'x', every: 5, limit: 2, iterationCount: 1, endDate: future, next: past }
  ]
  t.same((await schedules.list()).map(({ name }) => name), ['late', 'last'])
})

t.test('how long its jobs may wait is stored in ms, that of the call before that of the kind', async (t) => {
  const { schedules, queue } = schedulesOn({ expiresIn: 60_000, delay: 10_000 })
  await schedules.add('nightly', { kind: 'kind', every: 1_000, expiresIn: 5_000 })
  await schedules.add('nightly', { kind: 'kind', every: 1_000 })
  const [own, ofKind] = queue.upserted.map(([, , { data }]) => data)
  // From the end of its delay, as for any job.
  for (const [{ expiresIn }, expected] of [[own, 15_000], [ofKind, 70_000]]) t.ok(expiresIn > expected - 1_000 && expiresIn <= expected, String(expiresIn))
  for (const { payload } of [own, ofKind]) t.notOk('expiresAt' in payload)
})

t.test('schedules of all queues are listed, the next first, also those that others have made', async (t) => {
  const { schedules, queue, other } = schedulesOn()
  queue.schedulers = [
    { key: 'late', name: 'fastify-tasks:tick', template: { data: { kind: 'kind' } }, every: 5, next: 20 },
    { key: 'foreign', name: 'mail', pattern: '* * * * *', template: {}, next: 15 }
  ]
  other.schedulers = [{ key: 'soon', name: 'plain', every: 5, next: 10 }, { key: 'over', name: 'plain', every: 5, next: null }]
  t.same(await schedules.list(), [
    { name: 'over', kind: 'plain', queue: 'queue-1', every: 5 },
    { name: 'soon', kind: 'plain', queue: 'queue-1', every: 5, next: 10 },
    { name: 'foreign', kind: 'mail', queue: 'default', pattern: '* * * * *', next: 15 },
    { name: 'late', kind: 'kind', queue: 'default', every: 5, next: 20 }
  ])
  queue.schedulers.reverse()
  other.schedulers.reverse()
  t.same((await schedules.list()).map(({ name }) => name), ['over', 'soon', 'foreign', 'late'])
})

t.test('a tick adds the job of its schedule, the same for each attempt', async (t) => {
  const { schedules, queue, warnings } = schedulesOn()
  const tick = tickOf(Date.now(), { every: 60_000 })
  await schedules.tick('default', tick)
  const [job] = queue.entries.values()
  t.match(job, { id: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/, name: 'kind', data: { name: 'nightly', data: 7 }, opts: { deduplication: { id: 'nightly' } } })
  t.notOk('expiresAt' in job.data)
  await schedules.tick('default', tick)
  t.equal(queue.entries.size, 1)
  t.same(warnings, [])
})

t.test('the job of a tick expires so long after it', async (t) => {
  const { schedules, queue } = schedulesOn()
  await schedules.tick('default', tickOf(Date.now(), { every: 60_000 }, { expiresIn: 1_000 }))
  const [{ data: { expiresAt } }] = queue.entries.values()
  t.ok(expiresAt! - Date.now() > 500 && expiresAt! - Date.now() <= 1_000)
})

t.test('a tick whose predecessor is still live is left out, and logged', async (t) => {
  const { schedules, queue, warnings } = schedulesOn()
  queue.put({ id: 'before', state: 'active', data: { name: 'nightly', data: {} } })
  await schedules.tick('default', tickOf(Date.now(), { every: 60_000 }))
  t.match(warnings, [[{ schedule: 'nightly' }, /still live/]])
  t.equal(queue.entries.size, 1)
})

t.test('a tick that cannot be stored fails, to be tried again', async (t) => {
  const { schedules, queue } = schedulesOn()
  queue.add = async () => { throw new Error('away') }
  await t.rejects(schedules.tick('default', tickOf(Date.now(), { every: 60_000 })), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})

t.test('times that nobody could run are told, for an interval how many', async (t) => {
  const { schedules, warnings } = schedulesOn()
  const due = Date.now() - 3_500
  await schedules.tick('default', tickOf(due, { every: 1_000 }))
  t.match(warnings, [[{ schedule: 'nightly', due: new Date(due).toISOString(), left: 3 }, /could run the schedule in time/]])
})

t.test('times of a pattern that nobody could run are told, and one in time is not', async (t) => {
  const { schedules, queue, warnings } = schedulesOn()
  await schedules.tick('default', tickOf(Date.now() - 2 * 3_600_000, { pattern: '0 * * * *' }))
  t.match(warnings, [[{ schedule: 'nightly', left: 1 }, /could run the schedule in time/]])
  queue.entries.clear()
  queue.keys.clear()
  await schedules.tick('default', tickOf(Date.now(), { pattern: '0 3 1 1 *', tz: 'Europe/Berlin' }))
  // A time that was its last has no further one.
  queue.entries.clear()
  queue.keys.clear()
  await schedules.tick('default', tickOf(Date.now(), { pattern: '0 0 31 4,6 *' }))
  t.equal(warnings.length, 1)
})
