import { EventEmitter } from 'node:events'
import t from 'tap'
import { createJobsBackend } from '../../lib/jobs/control-backend'
import type { JobEvents } from '../../lib/jobs/events'
import { MemoryQueue, type Entry } from '../fixtures/memory-engine'
import { registryOn } from '../fixtures/registry'

const IDENTITY = { id: 'one', pid: process.pid, hostname: 'here' }
const KINDS = { kind: { options: { queue: 'default' } } }
const failed = { state: 'failed', finishedOn: 9, failedReason: 'no', stacktrace: ['TypeError [E]: no\n    at there'] }

function backendWith (...entries: Array<Partial<Entry>>) {
  const queue = new MemoryQueue()
  for (const entry of entries) queue.put(entry)
  const parts = registryOn([queue], { kinds: KINDS, cancelTimeout: 20 })
  const jobEvents = new EventEmitter()
  const backend = createJobsBackend(() => parts.registry, jobEvents as JobEvents, async () => [], IDENTITY)
  /** The jobs have ended, and what is kept of them is written. */
  const keep = async (...ids: string[]): Promise<void> => {
    for (const id of ids) {
      const entry = queue.entries.get(id)!
      parts.events.emit('ended', { queue: 'default', job: queue.stored(id), ...entry.state === 'failed' ? { error: new Error('no') } : { result: entry.returnvalue } })
    }
    await parts.outcomes.flush()
  }
  return { ...parts, queue, backend, jobEvents, keep }
}

const named = (name: string, more: object = {}): Partial<Entry> => ({ id: name, data: { name, data: {} }, ...more })

t.test('jobs are listed in pages, and those that match', async (t) => {
  const { backend } = backendWith(named('a:1'), named('a:2', { state: 'active', processedOn: 5 }), named('b:1', { state: 'completed', finishedOn: 9 }))
  t.match(await backend.list({ limit: 10 }), { tasks: [{ name: 'a:2', state: 'running' }, { name: 'a:1', state: 'pending' }, { name: 'b:1', state: 'completed' }], next: undefined })
  for (const [filter, names] of [
    [{ states: ['completed'] }, ['b:1']], [{ prefix: 'a' }, ['a:2', 'a:1']], [{ q: 'B:' }, ['b:1']], [{ q: ':1' }, ['a:1', 'b:1']], [{ names: ['a:1'] }, ['a:1']], [{ group: 'g' }, []]
  ] as const) {
    t.same((await backend.list({ limit: 10, ...filter })).tasks.map(({ name }) => name), names)
  }
  const first = await backend.list({ limit: 2 })
  const second = await backend.list({ limit: 2, after: first.next })
  t.same([first.tasks.length, second.tasks.length, second.next], [2, 1, undefined])
  await t.rejects(async () => { await backend.list({ limit: 2, after: 'x' }) }, { statusCode: 400, code: 'FST_ERR_TASK_INVALID_CURSOR' })
})

t.test('live jobs of given names are looked up, and not sought among all', async (t) => {
  const names = Array.from({ length: 150 }, (_, i) => `n:${i}`)
  const { backend, registry, queue, keep } = backendWith(...names.map((name) => named(name)), named('done', failed), named('revived', failed))
  await keep('done', 'revived')
  // By another tool, which does not know of names.
  await queue.stored('revived').retry()
  for (const name of names) queue.keys.set(name, name)
  queue.getBackend().getRanges = async () => t.fail('all are read') as never
  const found = []
  for await (const { name } of registry.listNamed([...names, 'n:7', 'done', 'revived', 'nobody', ''])) found.push(name)
  t.same(found, [...names, 'revived'])
  t.same(await backend.cancelAll({ names: ['n:1', 'n:2', 'nobody'], q: '2' }), { cancelled: 1, remaining: [] })
  t.notOk(queue.entries.has('n:2'))
  t.ok(queue.entries.has('n:1') && queue.entries.has('revived'))
})

t.test('a name may be live in several queues, and those of it that have ended are no live jobs', async (t) => {
  const queues = [new MemoryQueue('one'), new MemoryQueue('two'), new MemoryQueue('three')]
  queues[0].put(named('a'))
  queues[1].put(named('a', { id: 'other' }))
  queues[2].put(named('a', { id: 'ended', ...failed }))
  queues[2].keys.set('a', 'ended')
  const { registry } = registryOn(queues, { kinds: KINDS })
  const found = []
  for await (const { id, queue } of registry.listNamed(['a'])) found.push([queue, id])
  t.same(found.map(([, id]) => id), ['a', 'other'])
})

t.test('what goes wrong with a page is thrown as it is', async (t) => {
  const { backend, queue } = backendWith({})
  queue.getBackend().getRanges = async () => { throw new Error('away') }
  await t.rejects(async () => { await backend.list({ limit: 2 }) }, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})

t.test('the summary has the engine\'s counts, of all queues and of each', async (t) => {
  const { backend } = backendWith(named('a'), named('b', { state: 'delayed' }), named('c', { state: 'active' }), named('d', failed))
  t.match(await backend.summary(), {
    counts: { pending: 2, running: 1, cancelling: 0, completed: 0, failed: 1, cancelled: 0 },
    groups: [],
    process: IDENTITY,
    queues: [{ queue: 'default', paused: false, counts: { waiting: 1, delayed: 1, active: 1, failed: 1 } }]
  })
})

t.test('the next time of a schedule is no pending job in the summary', async (t) => {
  const { registry, jobEvents } = backendWith(named('a'), named('tick', { state: 'delayed' }))
  for (const [count, pending] of [[1, 1], [3, 0]]) {
    const schedules = Array.from({ length: count }, (_, i) => ({ name: `s${i}`, kind: 'kind', queue: 'default' }))
    const backend = createJobsBackend(() => registry, jobEvents as JobEvents, async () => schedules, IDENTITY)
    t.match(await backend.summary(), { counts: { pending }, schedules })
  }
})

t.test('a job is read by its name, with the stack of its failure', async (t) => {
  const { backend, keep } = backendWith({}, named('b', failed))
  await keep('b')
  t.match(await backend.get('a'), { name: 'a', state: 'pending', id: 'id', queue: 'default' })
  t.match(await backend.get('b'), { name: 'b', state: 'failed', error: { code: 'E', message: 'no', stack: 'TypeError [E]: no\n    at there' } })
  for (const verb of ['get', 'cancel', 'heartbeat', 'retry'] as const) {
    await t.rejects(async () => { await backend[verb]!('nobody') }, { code: 'FST_ERR_JOB_NOT_FOUND', message: "Job 'nobody' was not found", statusCode: 404 })
  }
})

t.test('a cancel answers with the job as it is then', async (t) => {
  const { backend, queue, events } = backendWith({ state: 'active' })
  const cancelled = backend.cancel('a')
  await new Promise((resolve) => setTimeout(resolve, 5))
  queue.end('id', { state: 'completed', returnvalue: 7 })
  events.emit('completed', { queue: 'default', jobId: 'id', returnvalue: 7 })
  t.match(await cancelled, { name: 'a', state: 'completed', endedAt: 9 })
})

t.test('a cancel of a job that waited answers with what is kept of it, and with what it was when that is not there yet', async (t) => {
  for (const isKept of [true, false]) {
    const { backend, outcomes } = backendWith({})
    if (!isKept) outcomes.find = async () => new Map()
    t.match(await backend.cancel('a'), { name: 'a', createdAt: 1, state: 'cancelled', endedAt: Number })
  }
})

t.test('a cancel that takes too long answers with the job that is still stopping', async (t) => {
  const { backend, queue } = backendWith({ state: 'active' })
  const { getJob } = queue
  t.match(await backend.cancel('a'), { state: 'cancelling', endedAt: undefined })
  // It ended after all, when the cancel had given up.
  queue.entries.get('id')!.data.cancel = undefined
  let asked = 0
  queue.getJob = async (id) => {
    if (++asked === 4) queue.end('id', {})
    return getJob.call(queue, id)
  }
  t.match(await backend.cancel('a'), { state: 'cancelling' })
})

t.test('what goes wrong with a cancel is thrown', async (t) => {
  const { backend, queue } = backendWith({ state: 'active' })
  queue.stored = () => ({ ...MemoryQueue.prototype.stored.call(queue, 'id'), updateData: async () => { throw new Error('away') } }) as any
  await t.rejects(backend.cancel('a'), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})

t.test('a job that has ended is neither cancelled nor renewed', async (t) => {
  const { backend, keep } = backendWith({ state: 'completed', finishedOn: 9 })
  await keep('id')
  for (const verb of ['cancel', 'heartbeat'] as const) {
    await t.rejects(async () => { await backend[verb]('a') }, { code: 'FST_ERR_JOB_NOT_LIVE', message: "Job 'a' is no longer live: completed" })
  }
})

t.test('a lease is renewed if there is one, and its job goes on', async (t) => {
  const { backend, queue, published } = backendWith({ state: 'active', data: { name: 'a', data: {}, ttl: 5 } }, named('b', { state: 'active' }))
  await backend.heartbeat('a')
  t.match(published, [{ event: 'heartbeat', jobId: 'id' }])
  queue.entries.get('id')!.data.cancel = {}
  await t.rejects(async () => { await backend.heartbeat('a') }, { code: 'FST_ERR_JOB_NOT_LIVE', message: "Job 'a' is no longer live: cancelling" })
  await t.rejects(async () => { await backend.heartbeat('b') }, { code: 'FST_ERR_JOB_NO_LEASE', message: /'b'/ })
})

t.test('all that match are cancelled, and those that go on are named', async (t) => {
  const entries = Array.from({ length: 450 }, (_, i) => named(`a:${i}`))
  const { backend, queue } = backendWith(...entries, named('a:ignoresSignal', { state: 'active' }), named('b'))
  t.same(await backend.cancelAll({ prefix: 'a:' }, 'why'), { cancelled: 450, remaining: ['a:ignoresSignal'] })
  t.strictSame(queue.entries.get('a:ignoresSignal')!.data.cancel, { value: 'why' })
  t.same([...queue.entries.keys()], ['a:ignoresSignal', 'b'])
  for (const filter of [{}, { prefix: undefined }]) await t.rejects(backend.cancelAll(filter), { statusCode: 400, message: /filter/ })
  queue.stored = () => { throw new Error('away') }
  await t.rejects(backend.cancelAll({ prefix: 'a:' }), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})

t.test('the live that match come in pages', async (t) => {
  const { backend } = backendWith(...Array.from({ length: 450 }, (_, i) => named(`a:${i}`)), named('b'), named('c', failed))
  const sizes = []
  for await (const page of backend.live({ prefix: 'a:' })) sizes.push(page.length)
  t.same(sizes, [200, 200, 50])
  for await (const page of backend.live({ prefix: 'c' })) t.fail(`there is none: ${page.length}`)
})

t.test('the events of jobs are those of app.jobEvents', async (t) => {
  const { backend, jobEvents } = backendWith()
  const heard: unknown[] = []
  const unsubscribe = backend.subscribe((event, { name }) => heard.push([event, name]))
  for (const event of ['start', 'progress', 'end']) jobEvents.emit(event, { name: 'a' })
  unsubscribe()
  jobEvents.emit('start', { name: 'a' })
  t.same(heard, [['start', 'a'], ['progress', 'a'], ['end', 'a']])
  t.same(jobEvents.eventNames(), [])
})

t.test('jobs are added, retried, purged, paused and resumed as an app does it', async (t) => {
  const { backend, queue, keep } = backendWith(named('b', failed))
  await keep('b')
  t.match(await backend.add!('kind', { id: 1 }, { name: 'a' }), { name: 'a', state: 'pending' })
  t.match(await backend.retry!('b'), { name: 'b', state: 'pending' })
  queue.end('b', {})
  t.same(await backend.purge(), { purged: 1 })
  await backend.pause!('default')
  t.equal(queue.paused, true)
  await backend.resume!()
  t.equal(queue.paused, false)
})
