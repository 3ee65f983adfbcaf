import t from 'tap'
import { readStopRequests } from '../../lib/jobs/canceller'
import { MemoryQueue, type Entry } from '../fixtures/memory-engine'
import { registryOn } from '../fixtures/registry'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)
const pass = (ms: number): Promise<void> => time.pass(ms, () => {})

type Parts = ReturnType<typeof registryOn> & { queue: MemoryQueue, requests: () => unknown[] }

function partsOf (entry: Partial<Entry>, cancelTimeout = 20): Parts {
  const queue = new MemoryQueue()
  queue.put(entry)
  const parts = registryOn([queue], { cancelTimeout })
  const requests = (): unknown[] => parts.published.filter(({ event }) => event === 'cancel').flatMap(({ requests }) => readStopRequests(requests))
  return { ...parts, queue, requests }
}

t.test('a cancel resolves false for an unknown name, and publishes nothing', async (t) => {
  const { registry, published } = partsOf({})
  t.equal(await registry.cancel('nobody'), false)
  t.same(published, [])
})

for (const state of ['delayed', 'prioritized', 'waiting']) {
  t.test(`a job that is ${state} is removed, and every process is told`, async (t) => {
    const { registry, queue, requests, outcomes } = partsOf({ state })
    const cancelled = registry.cancel('a', 'why')
    await pass(2)
    t.equal(await cancelled, true)
    t.equal(queue.entries.size, 0)
    t.strictSame(requests(), [{ id: 'id', reason: { value: 'why' }, removed: true }])
    t.match((await outcomes.find('default', ['id'])).get('id'), { state: 'cancelled', name: 'a', cause: { value: 'why' } })
    t.equal(time.timers.size, 0)
  })
}

t.test('a request to stop says for which of the retries it is', async (t) => {
  const { registry, requests } = partsOf({ state: 'delayed', data: { name: 'a', data: {}, retries: 2 } })
  t.equal(await Promise.all([registry.cancel('a', 'why'), pass(2)]).then(([cancelled]) => cancelled), true)
  t.strictSame(requests(), [{ id: 'id', reason: { value: 'why' }, retries: 2, removed: true }])
})

t.test('a running job is flagged first and told to stop, again and again, until it has', async (t) => {
  const { registry, queue, requests, events } = partsOf({ state: 'active' }, 5_000)
  const cancelled = registry.cancel('a', 'why')
  await pass(3)
  t.strictSame(queue.entries.get('id')!.data.cancel, { value: 'why' })
  t.strictSame(requests(), [{ id: 'id', reason: { value: 'why' } }])
  await pass(1_000)
  t.equal(requests().length, 3)
  events.emit('completed', { queue: 'default', jobId: 'id', returnvalue: 7 })
  t.equal(await cancelled, true, 'however it ended')
  await pass(3_000)
  t.equal(requests().length, 3)
  t.equal(time.timers.size, 0)
})

t.test('a job that answers its cancel with a failure of its own has stopped', async (t) => {
  const { registry, queue, events } = partsOf({ state: 'active' }, 5_000)
  const cancelled = registry.cancel('a')
  await pass(5)
  queue.end('id', { state: 'failed', failedReason: 'own error' })
  events.emit('failed', { queue: 'default', jobId: 'id', failedReason: 'own error' })
  await pass(5)
  t.equal(await cancelled, true)
})

t.test('a running job that goes back to its queue is removed from there', async (t) => {
  const { registry, queue, requests, outcomes } = partsOf({ state: 'active', attemptsStarted: 1 }, 20_000)
  const cancelled = registry.cancel('a', 'why')
  await pass(5)
  queue.entries.get('id')!.state = 'delayed'
  await pass(250)
  t.equal(await cancelled, true)
  t.equal(queue.entries.size, 0)
  t.strictSame(requests().at(-1), { id: 'id', reason: { value: 'why' }, removed: true })
  t.match((await outcomes.find('default', ['id'])).get('id'), { state: 'cancelled', cause: { value: 'why' } })
})

t.test('a job that was retried since has stopped, and its new run is left alone', async (t) => {
  const { registry, queue } = partsOf({ state: 'active' }, 20_000)
  const cancelled = registry.cancel('a', 'why')
  await pass(5)
  Object.assign(queue.entries.get('id')!, { state: 'waiting', data: { name: 'a', data: {}, retries: 1 } })
  await pass(250)
  t.equal(await cancelled, true)
  t.strictSame(queue.entries.get('id')!.data, { name: 'a', data: {}, retries: 1 })
})

t.test('a job that has gone without a trace has stopped', async (t) => {
  const { registry, queue } = partsOf({ state: 'active' }, 20_000)
  const cancelled = registry.cancel('a')
  await pass(5)
  queue.entries.clear()
  await pass(8_000)
  t.equal(await cancelled, true)
})

t.test('the reason of the first cancel is kept', async (t) => {
  const { registry, requests, events } = partsOf({ state: 'active', data: { name: 'a', data: {}, cancel: { value: 'first' } } })
  const cancelled = registry.cancel('a', 'second')
  await pass(3)
  t.strictSame(requests(), [{ id: 'id', reason: { value: 'first' } }])
  events.emit('completed', { queue: 'default', jobId: 'id' })
  t.equal(await cancelled, true)
})

t.test('a waiting job that a worker has claimed meanwhile is told to stop', async (t) => {
  for (const remove of [async () => 0, async () => { throw Object.assign(new Error('of a scheduler'), { code: -8 }) }]) {
    const { registry, queue, requests, events } = partsOf({})
    queue.remove = remove
    const cancelled = registry.cancel('a', 'why')
    await pass(3)
    t.strictSame(requests(), [{ id: 'id', reason: { value: 'why' } }])
    events.emit('completed', { queue: 'default', jobId: 'id' })
    t.equal(await cancelled, true)
  }
})

t.test('a job that ends, or is removed, before it is flagged has stopped, and nobody is told', async (t) => {
  for (const meddle of [
    (queue: MemoryQueue) => queue.end('id', { state: 'completed' }),
    (queue: MemoryQueue) => queue.entries.clear()
  ]) {
    const { registry, queue, requests } = partsOf({ state: 'active' })
    const { getJobState } = queue
    queue.getJobState = async (id) => {
      const state = await getJobState.call(queue, id)
      setImmediate(() => meddle(queue))
      queue.getJobState = async (id) => { meddle(queue); return getJobState.call(queue, id) }
      return state
    }
    t.equal(await registry.cancel('a'), true)
    t.same(requests(), [])
  }
  const { registry, queue } = partsOf({ state: 'active' })
  queue.stored = () => ({ ...MemoryQueue.prototype.stored.call(queue, 'id'), updateData: async () => { throw Object.assign(new Error('gone'), { code: -1 }) } }) as any
  t.equal(await registry.cancel('a'), true, 'another cancel has removed it')
})

t.test('other errors are thrown', async (t) => {
  const { registry, queue } = partsOf({ state: 'active' })
  queue.stored = () => ({ ...MemoryQueue.prototype.stored.call(queue, 'id'), updateData: async () => { throw Object.assign(new Error('no'), { code: -7 }) } }) as any
  await t.rejects(registry.cancel('a'), { code: -7 })
})

t.test('a cancel gives up after the time-out, and the request remains in effect', async (t) => {
  for (const [cancelTimeout, count] of [[0, 1], [20, 1], [250, 1], [251, 2], [1_000, 3]]) {
    const { registry, requests, queue } = partsOf({ state: 'active' }, cancelTimeout)
    let outcome: any
    registry.cancel('a').catch((error) => { outcome = error })
    await pass(3)
    if (cancelTimeout > 0) {
      await pass(cancelTimeout - 4)
      t.equal(outcome, undefined)
    }
    await pass(5)
    t.match(outcome, { code: 'FST_ERR_JOB_CANCEL_TIMEOUT', message: `Job 'a' is still running ${cancelTimeout} ms after it was cancelled` })
    t.equal(requests().length, count)
    t.ok(queue.entries.get('id')!.data.cancel)
    t.equal(time.timers.size, 0)
  }
})

t.test('a job whose end was not heard of is looked at once more before the cancel gives up', async (t) => {
  const { registry, queue } = partsOf({ state: 'active' }, 400)
  const cancelled = registry.cancel('a')
  await pass(300)
  queue.end('id', { state: 'completed' })
  await pass(200)
  t.equal(await cancelled, true)
})

t.test('cancels that are requested together are published together', async (t) => {
  const queue = new MemoryQueue()
  for (let i = 0; i < 500; i++) queue.put({ id: `id-${i}`, data: { name: `n-${i}`, data: {} }, state: 'active' })
  const { registry, published, events } = registryOn([queue], { cancelTimeout: 5_000 })
  const all = Promise.all(Array.from({ length: 500 }, (_, i) => registry.cancel(`n-${i}`)))
  await pass(3)
  t.same(published.map(({ requests }) => readStopRequests(requests).length), [200, 200, 100])
  for (let i = 0; i < 500; i++) events.emit('completed', { queue: 'default', jobId: `id-${i}` })
  t.ok((await all).every((cancelled) => cancelled))
})

t.test('a cancel ends with the app, also while the store is silent', async (t) => {
  const { registry, queue, completions } = partsOf({ state: 'active' }, 1_000)
  let answer = (_state: string): void => {}
  const { getJobState } = queue
  let asked = 0
  queue.getJobState = (id) => ++asked === 1 ? getJobState.call(queue, id) : new Promise((resolve) => { answer = resolve })
  const outcome = registry.cancel('a').catch((error) => error.code)
  await pass(3)
  completions.close()
  answer('active')
  await pass(1_000)
  t.equal(await outcome, 'FST_ERR_JOBS_CLOSED')
})

t.test('an event of the name that another tool has published cancels nothing', async (t) => {
  for (const requests of [undefined, '', '{', '{}', 'null', '[1]', '[{"id":1}]', '[{"id":1,"reason":{}}]', '[{"id":"a","reason":1}]', '[{"id":"a","reason":null}]', '[null]']) t.same(readStopRequests(requests), [], String(requests))
  t.same(readStopRequests('[{"id":"a","reason":{}},{}]'), [{ id: 'a', reason: {} }])
})
