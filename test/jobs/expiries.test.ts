import t from 'tap'
import { Expiries } from '../../lib/jobs/expiries'
import { FST_ERR_JOB_ENGINE_UNAVAILABLE } from '../../lib/shared/errors'
import { FakeTime } from '../fixtures/fake-time'
import { memoryEngine, MemoryQueue, type Entry } from '../fixtures/memory-engine'

const time = new FakeTime()
t.teardown(time.restore)
const pass = (ms: number): Promise<void> => time.pass(ms, () => {})

function partsOf () {
  const queues = [new MemoryQueue(), new MemoryQueue('second')]
  const { engine, events } = memoryEngine(...queues)
  const noted: string[] = []
  const expiries = new Expiries(engine, { afterNoting: async (job, run) => { noted.push(job.id!); return run } })
  const heard: Array<[event: string, id: string, code?: string]> = []
  events.on('taken', ({ job }) => heard.push(['taken', job.id]))
  events.on('ended', ({ job, error }) => heard.push(['ended', job.id, error.cause.code]))
  return { queue: queues[0], second: queues[1], engine, expiries, noted, heard }
}

const late = (more: Partial<Entry> = {}): Partial<Entry> => ({ data: { name: 'a', data: {}, expiresAt: Date.now() }, ...more })

for (const state of ['waiting', 'delayed', 'prioritized']) {
  for (const store of ['Redis', 'PostgreSQL']) {
    t.test(`a job that is ${state} too long ends as cancelled, on ${store}`, async (t) => {
      const { queue, expiries, noted, heard } = partsOf()
      if (store === 'PostgreSQL') queue.withPool()
      queue.put(late({ state }))
      t.equal(await expiries.end('default', 'id'), 'ended')
      t.match(queue.entries.get('id'), { state: 'failed', attemptsStarted: 0, failedReason: "Job 'a' was cancelled", stacktrace: [/^JobCancelled \[FST_ERR_JOB_EXPIRED\]/] })
      t.same(noted, ['id'])
      t.same(heard, [['taken', 'id'], ['ended', 'id', 'FST_ERR_JOB_EXPIRED']])
      t.equal(await expiries.end('default', 'id'), 'not overdue')
      t.same(heard.length, 2)
    })
  }
}

t.test('what is not overdue is left alone', async (t) => {
  const { queue, expiries, heard } = partsOf()
  queue.put({ id: 'without' })
  queue.put({ id: 'early', data: { name: 'b', data: {}, expiresAt: Date.now() + 1 } })
  queue.put(late({ id: 'started', attemptsStarted: 1 }))
  queue.put(late({ id: 'ended', state: 'completed', finishedOn: 9 }))
  queue.put({ id: 'broken', data: { name: 'c', data: {}, expiresAt: 'x' as never } })
  queue.put({ id: 'foreign', data: null as never, opts: {} })
  for (const id of queue.entries.keys()) t.equal(await expiries.end('default', id), 'not overdue', id)
  t.equal(await expiries.end('default', 'unknown'), 'missing')
  t.equal(await expiries.endNow('default', 'unknown'), false)
  t.same(heard, [])
  t.equal(await expiries.settled('default', undefined), undefined)
})

t.test('of several who end a job one does, and the others wait for it', async (t) => {
  const { queue, expiries, heard } = partsOf()
  const entry = queue.put(late())
  const read = { stored: queue.stored('id'), state: 'waiting' }
  Object.assign(entry, { state: 'active', processedOn: 9 })
  const now = expiries.settled('default', read)
  await pass(30)
  t.ok(heard.length > 1 && heard.every(([event]) => event === 'taken'), 'it looks again')
  queue.end('id', { state: 'failed', finishedOn: 9 })
  await pass(50)
  t.match(await now, { state: 'failed' })
})

t.test('a job that a worker has taken in time is told as it is', async (t) => {
  const { queue, expiries } = partsOf()
  const entry = queue.put(late())
  const read = { stored: queue.stored('id'), state: 'waiting' }
  queue.getJob = async (id) => {
    const stored = queue.stored(id)
    Object.assign(entry, { state: 'active', attemptsStarted: 1, processedOn: 9 })
    return stored
  }
  const now = expiries.settled('default', read)
  await pass(50)
  t.match(await now, { state: 'active' })
})

t.test('one that stays in the hands of another is waited for no longer than a moment', async (t) => {
  const { queue, expiries } = partsOf()
  const entry = queue.put(late())
  Object.assign(entry, { state: 'active', processedOn: 9 })
  const now = expiries.settled('default', { stored: queue.stored('id'), state: 'waiting' })
  await pass(1_100)
  t.match(await now, { state: 'active' })
})

t.test('the jobs of all queues are ended when their time has come, many with few reads', async (t) => {
  const { queue, second, engine, expiries } = partsOf()
  expiries.open()
  t.teardown(() => expiries.close())
  const expiresAt = Date.now() + 2_000
  const list = Array.from({ length: 250 }, (_, i) => ({ id: `id-${i}`, expiresAt }))
  for (const { id } of list) queue.put({ id, data: { name: id, data: {}, expiresAt } })
  await engine.request('default', (engineQueue) => expiries.mark(engineQueue, list))
  second.put({ id: 'other', data: { name: 'other', data: {}, expiresAt: expiresAt + 500 } })
  await engine.request('queue-1', (engineQueue) => expiries.mark(engineQueue, [{ id: 'other', expiresAt: expiresAt + 500 }]))
  await engine.request('default', (engineQueue) => expiries.mark(engineQueue, []))
  t.same([queue.asked, second.asked], [['mark 250'], ['mark']])
  expiries.wakeFor(list)
  await pass(1_999)
  t.equal(queue.entries.get('id-0')!.state, 'waiting')
  await pass(30)
  t.same(new Set([...queue.entries.values()].map(({ state }) => state)), new Set(['failed']))
  t.equal(queue.marks.size, 0)
  t.ok(queue.asked.filter((asked) => asked === 'read marks').length <= 5)
  t.equal(second.entries.get('other')!.state, 'waiting')
  await pass(500)
  t.equal(second.entries.get('other')!.state, 'failed', 'it was found with the others')
  t.equal(second.marks.size, 0)
})

t.test('closing stops a look at many', async (t) => {
  const { queue, engine, expiries } = partsOf()
  const list = Array.from({ length: 250 }, (_, i) => ({ id: `id-${i}`, expiresAt: Date.now() }))
  for (const { id, expiresAt } of list) queue.put({ id, data: { name: id, data: {}, expiresAt } })
  await engine.request('default', (engineQueue) => expiries.mark(engineQueue, list))
  const { request } = engine
  let reads = 0
  engine.request = async (name, operation) => {
    const answer = await request(name, operation)
    // The first read of the marks of each of the two queues.
    if (++reads > 2) expiries.close()
    return answer
  }
  expiries.open()
  await pass(1_000)
  t.equal(queue.asked.filter((asked) => asked === 'read marks').length, 1)
  t.equal(queue.entries.get('id-249')!.state, 'waiting')
  t.equal(time.timers.size, 0)
})

t.test('what another process has added is found soon, and an idle look costs one request of a queue', async (t) => {
  const { queue, expiries } = partsOf()
  expiries.open()
  t.teardown(() => expiries.close())
  await pass(10_000)
  t.same(new Set(queue.asked), new Set(['read marks']))
  t.ok(queue.asked.length >= 3 && queue.asked.length <= 5, String(queue.asked.length))
  queue.put(late())
  queue.marks.set(`${Date.now()}_id`, Date.now())
  await pass(5_000)
  t.equal(queue.entries.get('id')!.state, 'failed')
})

t.test('a mark stays while somebody else has its job, and goes when that was started', async (t) => {
  const { queue, expiries } = partsOf()
  const mark = `${Date.now()}_id`
  const entry = queue.put(late())
  entry.state = 'active'
  queue.marks.set(mark, Date.now())
  expiries.open()
  t.teardown(() => expiries.close())
  await pass(200)
  t.ok(queue.marks.has(mark))
  entry.attemptsStarted = 1
  await pass(1_100)
  t.notOk(queue.marks.has(mark))
})

t.test('a job that is stored only when it is overdue ends too, and one that never comes is forgotten', async (t) => {
  const { queue, expiries } = partsOf()
  const expiresAt = Date.now()
  for (const id of ['id', 'never']) queue.marks.set(`${expiresAt}_${id}`, expiresAt)
  expiries.open()
  t.teardown(() => expiries.close())
  await pass(3_000)
  queue.put({ data: { name: 'a', data: {}, expiresAt } })
  await pass(1_100)
  t.equal(queue.entries.get('id')!.state, 'failed')
  t.same([...queue.marks.keys()], [`${expiresAt}_never`])
  await pass(8_000)
  t.equal(queue.marks.size, 0)
})

t.test('many whose jobs others have are looked at again later, and hold up no other', async (t) => {
  const { queue, engine, expiries } = partsOf()
  const list = Array.from({ length: 150 }, (_, i) => ({ id: `id-${i}`, expiresAt: Date.now() }))
  for (const { id, expiresAt } of list) queue.put({ id, data: { name: id, data: {}, expiresAt } }).state = 'active'
  await engine.request('default', (engineQueue) => expiries.mark(engineQueue, list))
  expiries.open()
  t.teardown(() => expiries.close())
  await pass(200)
  t.equal(queue.asked.filter((asked) => asked === 'read marks').length, 1)
  for (const { id } of list.slice(1)) queue.entries.get(id)!.state = 'waiting'
  await pass(3_000)
  t.same(new Set([...queue.entries.values()].map(({ state }) => state)), new Set(['active', 'failed']))
  t.equal(queue.marks.size, 1)
})

t.test('a store that is away is looked at again, one look at a time', async (t) => {
  const { queue, engine, expiries } = partsOf()
  queue.put(late())
  queue.marks.set(`${Date.now()}_id`, Date.now())
  const { request } = engine
  let asked = 0
  engine.request = async () => {
    asked++
    throw new FST_ERR_JOB_ENGINE_UNAVAILABLE()
  }
  expiries.open()
  await pass(200)
  t.equal(asked, 2, 'once for each queue')
  let answer!: () => void
  engine.request = async (queue, operation) => {
    asked++
    await new Promise<void>((resolve) => { answer = resolve })
    return request(queue, operation)
  }
  expiries.wakeFor([{ id: 'id', expiresAt: Date.now() }])
  await pass(100)
  expiries.wakeFor([{ id: 'id', expiresAt: Date.now() }])
  await pass(400)
  t.equal(asked, 4, 'not before the last look is over')
  engine.request = request
  answer()
  expiries.close()
  await pass(10_000)
  t.equal(time.timers.size, 0)
  expiries.wakeFor([{ id: 'id', expiresAt: Date.now() }])
  t.equal(time.timers.size, 0, 'closed')
})

t.test('a mark goes with its job, if there is one', async (t) => {
  const { queue, expiries } = partsOf()
  queue.marks.set('7_id', 7)
  expiries.unmark('default', { id: 'id', data: { name: 'a', data: {} } })
  await time.settle()
  t.same(queue.asked, [])
  expiries.unmark('default', { id: 'id', data: { name: 'a', data: {}, expiresAt: 7 } })
  await time.settle()
  t.equal(queue.marks.size, 0)
  queue.getBackend = () => { throw new Error('away') }
  expiries.unmark('default', { id: 'id', data: { name: 'a', data: {}, expiresAt: 7 } })
  await time.settle()
})
