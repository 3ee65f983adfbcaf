import t from 'tap'
import { Generations } from '../../lib/jobs/generations'
import { Outcomes } from '../../lib/jobs/outcomes'
import { retentionOf } from '../../lib/jobs/retention'
import { FakeTime } from '../fixtures/fake-time'
import { memoryEngine, MemoryQueue } from '../fixtures/memory-engine'

function partsOf (limits = { count: 1_000, age: Infinity }) {
  const queue = new MemoryQueue()
  const parts = memoryEngine(queue)
  return { queue, ...parts, outcomes: new Outcomes(parts.engine, () => limits) }
}

const mapsOf = (queue: MemoryQueue): string[] => [...queue.meta.keys()].sort()
const writesOf = (queue: MemoryQueue): string[] => queue.asked.filter((asked) => /^write .*\d$/.test(asked))

t.test('ends of one turn are written together, completed and failed apart, and found by id and by name', async (t) => {
  const { queue, events, outcomes } = partsOf()
  for (let i = 0; i < 100; i++) {
    queue.put({ id: `id-${i}`, data: { name: `n-${i}`, data: {} }, attemptsStarted: 1, processedOn: 5, finishedOn: 9, failedReason: 'no', stacktrace: ['Error [E]: no'] })
    events.emit('ended', { queue: 'default', job: queue.stored(`id-${i}`), ...i % 2 === 0 ? { result: i } : { error: new Error('no') } })
  }
  await outcomes.flush()
  t.same(writesOf(queue), ['write jobs-outcomes-completed-0', 'write jobs-outcomes-failed-0'])
  const found = await outcomes.find('default', ['id-0', 'id-1', 'id-100'])
  t.strictSame([...found], [
    ['id-0', { id: 'id-0', name: 'n-0', kind: 'kind', attempts: 1, createdAt: 1, startedAt: 5, endedAt: 9, state: 'completed', result: 0 }],
    ['id-1', { id: 'id-1', name: 'n-1', kind: 'kind', attempts: 1, createdAt: 1, startedAt: 5, endedAt: 9, state: 'failed', error: { code: 'E', message: 'no' } }]
  ])
  t.same(await outcomes.idsOf('default', 'n-7'), ['id-7'])
  t.same(await outcomes.idsOf('default', 'nobody'), [])
})

t.test('the name of a job leads to it from its start on', async (t) => {
  const { queue, events, outcomes } = partsOf()
  queue.put({ id: 'one', data: { name: 'a', data: {} }, state: 'active' })
  events.emit('taken', { queue: 'default', job: queue.stored('one') })
  events.emit('taken', { queue: 'default', job: { id: '2', data: null } })
  await outcomes.flush()
  t.same(await outcomes.idsOf('default', 'a'), ['one'])
  t.equal(writesOf(queue).length, 1)
})

t.test('a job is not done before it can be found by its name, and a store that is away delays none', async (t) => {
  const { queue, engine, events, outcomes } = partsOf()
  queue.put({ id: 'one', state: 'active' })
  const job = queue.stored('one')
  const backend = queue.getBackend()
  const { forQueue } = backend
  let go = (): void => {}
  backend.forQueue = (name) => ({ ...forQueue.call(backend, name), setQueueMeta: () => new Promise((resolve) => { go = () => resolve(0) }) }) as any
  events.emit('taken', { queue: 'default', job })
  let done = false
  const result = outcomes.afterNoting(job, Promise.resolve(7)).finally(() => { done = true })
  await new Promise((resolve) => setTimeout(resolve, 10))
  t.notOk(done)
  backend.forQueue = forQueue
  go()
  t.equal(await result, 7)
  await t.rejects(outcomes.afterNoting(queue.stored('one'), Promise.reject(new Error('of the handler'))), { message: 'of the handler' }, 'one that was not noted waits for nothing')
  engine.request = async () => { throw new Error('away') }
  Object.assign(engine, { isClosing: true })
  const other = queue.stored('one')
  events.emit('taken', { queue: 'default', job: other })
  t.equal(await outcomes.afterNoting(other, Promise.resolve(8)), 8)
})

t.test('a job waits until its name is noted: in Redis, until that is sent', async (t) => {
  for (const isPostgres of [false, true]) {
    const { queue, engine, events, outcomes } = partsOf()
    Object.assign(engine, { isPostgres })
    queue.put({ id: 'one', state: 'active' })
    // The store knows its generations by then.
    await outcomes.idsOf('default', 'a')
    const backend = queue.getBackend()
    const { forQueue } = backend
    let answer = (): void => {}
    backend.forQueue = (name) => ({ ...forQueue.call(backend, name), setQueueMeta: () => new Promise((resolve) => { answer = () => resolve(0) }) }) as any
    const job = queue.stored('one')
    events.emit('taken', { queue: 'default', job })
    let done = false
    const result = outcomes.afterNoting(job, Promise.resolve(7)).finally(() => { done = true })
    await new Promise((resolve) => setTimeout(resolve, 10))
    t.equal(done, !isPostgres)
    answer()
    t.equal(await result, 7)
  }
})

t.test('an end that the store has not taken yet is known where it was told', async (t) => {
  const { queue, outcomes } = partsOf()
  const backend = queue.getBackend()
  const { forQueue } = backend
  let refuse = (_error: Error): void => {}
  backend.forQueue = (name) => ({ ...forQueue.call(backend, name), setQueueMeta: () => new Promise((_resolve, reject) => { refuse = reject }) }) as any
  for (const id of ['one', 'other']) {
    outcomes.record('default', { id, name: id, kind: 'kind', attempts: 1, createdAt: 1, endedAt: 2, state: 'completed' })
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const known = async (): Promise<string[]> => [...(await outcomes.find('default', ['one', 'other', 'unknown'])).keys()]
  backend.forQueue = forQueue
  t.same(await known(), ['one', 'other'])
  await outcomes.forget('default', 'one')
  t.same(await known(), ['other'])
  refuse(new Error('takes no writes'))
  await new Promise((resolve) => setTimeout(resolve, 10))
  t.same(await known(), ['other'])
  await outcomes.flush()
  t.same(await known(), ['other'])
})

t.test('an end is written with the next start, or soon; at once when its record may go at once', async (t) => {
  for (const [opts, how, isUrgent] of [
    [{}, { result: 1 }, false], [{ removeOnComplete: true }, { result: 1 }, true], [{ removeOnComplete: true }, { error: new Error('no') }, false],
    [{ removeOnFail: { count: 1 } }, { error: new Error('no') }, true], [{ removeOnFail: 1 }, { error: new Error('no') }, true],
    [{ removeOnComplete: { age: 5 } }, { result: 1 }, true], [{ removeOnComplete: { age: 86_400, count: 1_000 } }, { result: 1 }, false], [{ removeOnComplete: false }, { result: 1 }, false]
  ] as const) {
    const { queue, events } = partsOf()
    queue.put({ opts, finishedOn: 9, failedReason: 'no', stacktrace: [] } as object)
    events.emit('ended', { queue: 'default', job: queue.stored('id'), ...how })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), ...how })
    await new Promise((resolve) => setTimeout(resolve, 10))
    t.equal(writesOf(queue).length, isUrgent ? 1 : 0, JSON.stringify(opts))
    while (writesOf(queue).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  }
})

t.test('records that are not ours are no concern', async (t) => {
  const { queue, events, outcomes } = partsOf()
  events.emit('ended', { queue: 'default', job: { id: '1', data: { n: 1 } }, result: 1 })
  await outcomes.flush()
  t.same(queue.asked, [])
})

t.test('the latest end of a name and of an id counts, and of an id that has any characters', async (t) => {
  const { outcomes } = partsOf()
  const ended = { name: 'a', kind: 'kind', attempts: 1, createdAt: 1 }
  outcomes.record('default', { ...ended, id: 'x@y@\n', endedAt: 20, state: 'completed', result: 1 })
  outcomes.record('default', { ...ended, id: 'old', endedAt: 3, state: 'failed', error: { code: '', message: '' } })
  outcomes.record('default', { ...ended, id: 'both', name: 'b', endedAt: 4, state: 'failed', error: { code: '', message: '' } })
  outcomes.record('default', { ...ended, id: 'both', name: 'b', endedAt: 30, state: 'completed', result: 2 })
  await outcomes.flush()
  t.same(await outcomes.idsOf('default', 'a'), ['x@y@\n', 'old'])
  t.match((await outcomes.find('default', ['both'])).get('both'), { state: 'completed', result: 2 })
  await outcomes.forget('default', 'both')
  t.equal((await outcomes.find('default', ['both'])).size, 0)
  t.same(await outcomes.idsOf('default', 'b'), ['both'])
})

t.test('with time', async (t) => {
  const time = new FakeTime()
  t.teardown(time.restore)
  const pass = (ms: number): Promise<void> => time.pass(ms, () => {})
  const later = (ms: number): void => { time.now += ms; time.wall += ms }
  const end = (id: string): Parameters<Outcomes['record']>[1] => ({ id, name: id, kind: 'kind', attempts: 1, createdAt: 1, endedAt: 2, state: 'completed', result: id })

  await t.test('ends are kept while the store is away, the latest of them', async (t) => {
    const { queue, engine, outcomes } = partsOf()
    const { request } = engine
    let away = true
    engine.request = (async (...args: [string, any]) => {
      if (away) throw new Error('away')
      return request.call(engine, ...args)
    }) as typeof engine.request
    outcomes.record('default', end('first'))
    const take = (id: string, name: string): void => { engine.events.emit('taken', { queue: 'default', job: { id, data: { name } } }) }
    take('one', 'a')
    take('two', 'b')
    await pass(2)
    take('other', 'b')
    for (let i = 0; i < 10_000; i++) outcomes.record('default', end(`id-${i}`))
    await pass(1_000)
    away = false
    await pass(2_100)
    t.equal((await outcomes.find('default', ['first'])).size, 0)
    t.equal((await outcomes.find('default', ['id-0', 'id-9999'])).size, 2)
    t.ok(writesOf(queue).length > 10, 'in slices')
    t.same([await outcomes.idsOf('default', 'a'), await outcomes.idsOf('default', 'b')], [['one'], ['other']])
  })

  await t.test('an app that closes does not wait for a store that is away', async () => {
    const { engine, outcomes } = partsOf()
    engine.request = async () => { throw new Error('away') }
    Object.assign(engine, { isClosing: true })
    outcomes.record('default', end('id'))
    const flushed = outcomes.flush()
    await pass(2)
    await flushed
  })

  await t.test('a generation that is full is followed by another, and the one before it dropped', async (t) => {
    const { queue, outcomes } = partsOf({ count: 10, age: Infinity })
    const fill = async (prefix: string): Promise<void> => {
      for (let i = 0; i < 1_000; i++) outcomes.record('default', { ...end(`${prefix}-${i}`), state: 'failed', error: { code: '', message: '' } })
      await pass(2)
    }
    await fill('a')
    await fill('b')
    t.equal(queue.meta.has('jobs-outcomes-failed-1'), false, 'it is too young')
    later(30_000)
    await fill('c')
    await fill('d')
    t.same(mapsOf(queue), ['jobs-outcomes', 'jobs-outcomes-failed-0', 'jobs-outcomes-failed-1'])
    t.equal((await outcomes.find('default', ['a-0', 'b-0', 'c-0', 'd-0'])).size, 4)
    later(30_000)
    await fill('e')
    await fill('f')
    t.same(mapsOf(queue), ['jobs-outcomes', 'jobs-outcomes-failed-1', 'jobs-outcomes-failed-2'])
    t.same([...(await outcomes.find('default', ['a-0', 'd-0', 'f-0'])).keys()].sort(), ['d-0', 'f-0'])
    t.same(await outcomes.idsOf('default', 'a-0'), [])
  })

  await t.test('a generation ends with its age, and a purge begins another', async (t) => {
    const { queue, outcomes } = partsOf({ count: Infinity, age: 60_000 })
    outcomes.record('default', end('one'))
    await pass(2)
    later(60_000)
    outcomes.record('default', end('two'))
    await pass(2)
    t.equal(queue.meta.get('jobs-outcomes')!.get('completed')!.split('@')[0], '1')
    await outcomes.retire('default')
    t.equal(queue.meta.get('jobs-outcomes')!.get('completed')!.split('@')[0], '1', 'not so soon: somebody may wait')
    later(30_000)
    await outcomes.retire('default')
    t.equal(queue.meta.get('jobs-outcomes')!.get('completed')!.split('@')[0], '2')
    t.equal((await outcomes.find('default', ['one'])).size, 0)
  })

  await t.test('processes agree on the newest generation', async (t) => {
    const queue = new MemoryQueue()
    const { engine } = memoryEngine(queue)
    const limits = (): { count: number, age: number } => ({ count: 0, age: 0 })
    const [one, other] = [new Generations(engine, limits), new Generations(engine, limits)]
    await other.write('default', 'completed', { a: '1' }, 1)
    later(30_000)
    await one.write('default', 'completed', { b: '2' }, 1)
    t.equal(queue.meta.get('jobs-outcomes')!.get('completed')!.split('@')[0], '1')
    t.same(await other.read('default', ['a', 'b']), [['1'], ['2']], 'what it knew was old')
    await one.write('default', 'completed', { c: '3' }, 1)
    t.same(await other.read('default', ['a', 'c']), [['1'], ['3']])
    later(6_000)
    await other.write('default', 'completed', { d: '4' }, 1)
    t.equal(queue.meta.get('jobs-outcomes-completed-1')!.get('d'), '4', 'it asked again')
    // Both find it full at once: the second sees that the first has begun another.
    later(30_000)
    await Promise.all([one.write('default', 'completed', { e: '5' }, 1), other.write('default', 'completed', { f: '6' }, 1)])
    t.equal(queue.meta.get('jobs-outcomes')!.get('completed')!.split('@')[0], '2')
    t.same(await one.read('default', ['e', 'f', 'a']), [['5'], ['6'], []])
    // Another begins the next one while this one is written to.
    later(30_000)
    const { push } = queue.asked
    queue.asked.push = (asked) => {
      if (asked === 'write jobs-outcomes-completed-2') queue.meta.get('jobs-outcomes')!.set('completed', `3@${Date.now()}`)
      return push.call(queue.asked, asked)
    }
    await one.write('default', 'completed', { g: '7' }, 1)
    t.equal(queue.meta.get('jobs-outcomes')!.get('completed')!.split('@')[0], '3')
  })
})

t.test('what is kept is bounded by the loosest rule of a queue', async (t) => {
  for (const [rules, expected] of [
    [[{ age: 10, count: 5 }], { age: 10_000, count: 5 }],
    [[true], { age: 0, count: 0 }],
    [[false], { age: Infinity, count: Infinity }],
    [[7], { age: Infinity, count: 7 }],
    [[{ age: 10, count: 5 }, 7, undefined], { age: Infinity, count: 7 }],
    [[{ age: 10 }, true], { age: 10_000, count: Infinity }]
  ] as const) {
    const [settings, ...kinds] = rules.map((removeOnFail) => ({ removeOnFail, removeOnComplete: true })) as any[]
    t.strictSame(retentionOf(settings, kinds, 'failed'), { count: expected.count, age: expected.age })
    t.strictSame(retentionOf(settings, kinds, 'completed'), { count: 0, age: 0 })
  }
})
