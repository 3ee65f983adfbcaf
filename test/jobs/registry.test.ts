import t from 'tap'
import type { JobRegistry } from '../../lib/jobs/registry'
import { MemoryQueue, type Entry } from '../fixtures/memory-engine'
import { registryOn } from '../fixtures/registry'

const KINDS = { kind: { options: { queue: 'default' } }, other: { options: { queue: 'queue-1' } } }
const failed = { state: 'failed', finishedOn: 9, attemptsStarted: 2, processedOn: 5, failedReason: 'no', stacktrace: ['Error: no'] }

async function namesOf (jobs: AsyncIterable<{ name: string }>): Promise<string[]> {
  const names = []
  for await (const { name } of jobs) names.push(name)
  return names
}

function registryWith (...entries: Array<Partial<Entry>>): { queue: MemoryQueue, registry: JobRegistry, parts: ReturnType<typeof registryOn> } {
  const queue = new MemoryQueue()
  for (const entry of entries) queue.put(entry)
  const parts = registryOn([queue], { kinds: KINDS })
  return { queue, registry: parts.registry, parts }
}

t.test('adding', async (t) => {
  await t.test('stores the job under a new id, its name unique among the live', async (t) => {
    const { queue, registry } = registryWith()
    const job = await registry.add('kind', { n: 1 }, { name: 'a', ttl: 50, delay: 5 })
    t.match(job, { id: /^[0-9a-f-]{36}$/, name: 'a', kind: 'kind', queue: 'default', state: 'pending' })
    t.match(queue.entries.get(job.id), { data: { name: 'a', data: { n: 1 }, ttl: 50 }, opts: { delay: 5, jobId: job.id, deduplication: { id: 'a' } } })
    await t.rejects(registry.add('kind', {}, { name: 'a' }), { code: 'FST_ERR_JOB_NAME_IN_USE', message: /'a'/ })
    t.equal(queue.entries.size, 1)
  })

  await t.test('gives a job without a name one of its own', async (t) => {
    const { queue, registry } = registryWith()
    const names = [(await registry.add('kind', 1)).name, (await registry.add('kind', 1)).name]
    for (const name of names) t.match(name, /^job-[0-9a-f-]{36}$/)
    t.not(names[0], names[1])
    t.same([...queue.keys.keys()], names)
  })

  await t.test('hands the engine\'s options over, the call\'s before the kind\'s, and no other', async (t) => {
    const queue = new MemoryQueue()
    const kinds = { kind: { options: { queue: 'default', schema: {}, timeout: 5, attempts: 3, priority: 1, sizeLimit: 100 } } }
    const { registry } = registryOn([queue], { kinds })
    const { id } = await registry.add('kind', 1, { name: 'a', attempts: 2, lifo: true })
    t.strictSame(queue.entries.get(id)!.opts, { attempts: 2, priority: 1, lifo: true, jobId: id, deduplication: { id: 'a' } })
  })

  await t.test('stores what the kind\'s schema makes of a copy of the data', async (t) => {
    const data = { n: 1 }
    const validate = (copy: { n: number }): void => {
      if (copy.n > 1) throw new Error('too many')
      copy.n = 7
    }
    const queue = new MemoryQueue()
    const { registry } = registryOn([queue], { kinds: { kind: { options: { queue: 'default' }, validate } } })
    const { id } = await registry.add('kind', data)
    t.same(queue.entries.get(id)!.data.data, { n: 7 })
    t.same(data, { n: 1 })
    await t.rejects(registry.add('kind', { n: 2 }), { message: 'too many' })
    t.equal(queue.entries.size, 1)
  })

  await t.test('refuses more data than the limit of the kind or of the call, and stores nothing', async (t) => {
    const queue = new MemoryQueue()
    const { registry } = registryOn([queue], { kinds: { small: { options: { queue: 'default', sizeLimit: 4 } }, free: { options: { queue: 'default' } } } })
    await t.rejects(registry.add('small', 'abc'), { code: 'FST_ERR_JOB_INVALID_DATA', message: "Data of a job of kind 'small' has 5 bytes, more than its sizeLimit of 4" })
    await t.rejects(registry.add('free', 'abc', { sizeLimit: 4 }), { code: 'FST_ERR_JOB_INVALID_DATA' })
    t.equal(queue.entries.size, 0)
    await registry.add('small', 'ab', { name: 'longer than the limit' })
    await registry.add('small', 'abc', { sizeLimit: 5 })
    t.equal(queue.entries.size, 2)
  })

  await t.test('stores by when a job must have started, its delay not counted', async (t) => {
    const { queue, registry } = registryWith()
    const [plain, delayed] = [await registry.add('kind', 1, { expiresIn: 1_000 }), await registry.add('kind', 1, { expiresIn: 1_000, delay: 60_000 })]
    const left = ({ id }: { id: string }): number => queue.entries.get(id)!.data.expiresAt! - Date.now()
    t.ok(left(plain) <= 1_000 && left(plain) > 0, String(left(plain)))
    t.ok(left(delayed) <= 61_000 && left(delayed) > 60_000, String(left(delayed)))
  })

  await t.test('refuses what cannot be right, and stores nothing', async (t) => {
    const { queue, registry } = registryWith()
    for (const [kind, data, options, code] of [
      ['none', 1, {}, 'FST_ERR_JOB_UNKNOWN_KIND'],
      [Symbol('kind'), 1, {}, 'FST_ERR_JOB_UNKNOWN_KIND'],
      ['kind', NaN, {}, 'FST_ERR_JOB_INVALID_DATA'],
      ['kind', 1, { backoff: { type: 'fixed', jitter: 2 } }, 'FST_ERR_JOB_INVALID_OPTION']
    ] as any[]) {
      await t.rejects(registry.add(kind, data, options), { code })
    }
    t.same(queue.asked, [])
  })

  await t.test('takes a name whose key was left by a job that has ended, or is gone', async (t) => {
    for (const holder of [{ ...failed, opts: {} }, undefined]) {
      const { queue, registry } = registryWith(...holder === undefined ? [] : [holder])
      queue.keys.set('a', 'id')
      const job = await registry.add('kind', 1, { name: 'a' })
      t.equal(queue.keys.get('a'), job.id)
    }
  })

  await t.test('takes the name of a job of another tool that has just given it back', async (t) => {
    const { queue, registry } = registryWith({ id: '1', opts: {}, state: 'completed', finishedOn: 9 })
    queue.keys.set('a', '1')
    const { getDeduplicationJobId } = queue
    queue.getDeduplicationJobId = async (name) => { queue.keys.delete('a'); return getDeduplicationJobId.call(queue, name) }
    const job = await registry.add('kind', 1, { name: 'a' })
    t.equal(queue.keys.get('a'), job.id)
  })

  await t.test('leaves a name alone that was freed and taken meanwhile', async (t) => {
    for (const key of [undefined, 'id']) {
      const { queue, registry } = registryWith({ state: 'active' })
      queue.getDeduplicationJobId = async () => key ?? null
      await t.rejects(registry.add('kind', 1, { name: 'a' }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
      t.equal(queue.keys.get('a'), 'id')
    }
  })
})

t.test('adding many', async (t) => {
  await t.test('needs few requests, and says of each whether it was stored', async (t) => {
    const { queue, registry } = registryWith({ id: 'there', data: { name: 'taken', data: {} } })
    const list = Array.from({ length: 600 }, (_, i) => ({ data: { i }, name: `n:${i}` }))
    const results = await registry.addAll('kind', [...list, { data: 1, name: 'taken' }, { data: NaN }, { data: 2, name: 'n:0' }, { data: 3 }])
    t.equal(results.length, 604)
    t.ok(results.slice(0, 600).every((result, i) => result.status === 'fulfilled' && result.value.name === `n:${i}` && result.value.state === 'pending'))
    t.match(results.slice(600), [
      { status: 'rejected', reason: { code: 'FST_ERR_JOB_NAME_IN_USE' } },
      { status: 'rejected', reason: { code: 'FST_ERR_JOB_INVALID_DATA' } },
      { status: 'rejected', reason: { code: 'FST_ERR_JOB_NAME_IN_USE' } },
      { status: 'fulfilled', value: { name: /^job-/ } }
    ])
    t.equal(queue.asked.filter((asked) => asked === 'addBulk').length, 3)
    t.equal(queue.asked.filter((asked) => asked === 'add').length, 2, 'those whose names were taken are tried once more')
    t.equal(queue.entries.size, 602)
  })

  await t.test('goes on when a request fails', async (t) => {
    const { queue, registry } = registryWith()
    const { addBulk } = queue
    let requests = 0
    queue.addBulk = async (jobs) => { if (++requests === 2) throw new Error('away'); return addBulk.call(queue, jobs) }
    const results = await registry.addAll('kind', Array.from({ length: 600 }, (_, i) => ({ data: i })))
    t.equal(results.filter(({ status }) => status === 'rejected').length, 250)
    t.match(results[250], { reason: { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' } })
    t.same(await registry.addAll('kind', []), [])
  })

  await t.test('refuses a list that is none', async (t) => {
    const { registry } = registryWith()
    for (const list of [undefined, {}, 'ab'] as any[]) {
      await t.rejects(registry.addAll('kind', list), { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: /'list'/ })
    }
  })

  await t.test('refuses what is no job, and adds the others', async (t) => {
    const { queue, registry } = registryWith()
    const results = await registry.addAll('kind', [{ data: 1 }, null, 5, 'x', , { data: 2 }] as any) // eslint-disable-line no-sparse-arrays
    t.same(results.map(({ status }) => status), ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected', 'fulfilled'])
    t.match(results[1], { reason: { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: /'list'/ } })
    t.equal(queue.entries.size, 2)
  })
})

t.test('finding', async (t) => {
  await t.test('a live job by its name', async (t) => {
    const { queue, registry } = registryWith({ state: 'active', attemptsStarted: 2 })
    t.match(await registry.get('a'), { id: 'id', name: 'a', state: 'running', attempts: 2 })
    t.same(queue.asked, ['getDeduplicationJobId', 'getJob', 'getJobState'], 'with no more than that')
  })

  await t.test('a job that was never started without its state, for which Redis would go through all that wait', async (t) => {
    const { queue, registry } = registryWith({})
    t.match(await registry.get('a'), { state: 'pending', attempts: 0 })
    t.same(queue.asked, ['getDeduplicationJobId', 'getJob'])
  })

  await t.test('refuses a name or an id that is none', async (t) => {
    const { registry } = registryWith()
    for (const verb of ['get', 'cancel', 'heartbeatByName', 'retry'] as const) {
      for (const name of ['', undefined, 1, null] as any[]) await t.rejects(async () => { await registry[verb](name) }, { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: /'name'/ })
    }
    for (const id of ['', undefined] as any[]) await t.rejects(registry.get({ id }), { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: /'id'/ })
  })

  await t.test('an ended job by its name, at the same cost whatever is kept', async (t) => {
    const { queue, registry, parts: { events, outcomes } } = registryWith({ state: 'active', opts: { deduplication: { id: 'a' } } })
    queue.end('id', { returnvalue: 7 })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), result: 7 })
    await outcomes.flush()
    for (let i = 0; i < 100; i++) queue.put({ id: `kept-${i}`, data: { name: `kept-${i}`, data: {} }, state: 'completed', finishedOn: i })
    queue.asked.length = 0
    t.match(await registry.get('a'), { id: 'id', name: 'a', state: 'completed', result: 7 })
    t.ok(queue.asked.length <= 6, queue.asked.join())
    t.equal(await registry.get('nobody'), undefined)
    queue.entries.clear()
    t.equal(await registry.get('a'), undefined, 'its record is gone')
  })

  await t.test('of the ended that had a name the latest, however they ended', async (t) => {
    for (const [completed, hasFailed, state] of [[1, 2, 'failed'], [2, 1, 'completed']] as const) {
      const { queue, registry, parts: { events, outcomes } } = registryWith()
      queue.put({ id: 'one', state: 'completed', finishedOn: completed, opts: {} })
      queue.put({ id: 'two', ...failed, finishedOn: hasFailed, opts: {} })
      events.emit('ended', { queue: 'default', job: queue.stored('one'), result: 7 })
      events.emit('ended', { queue: 'default', job: queue.stored('two'), error: new Error('no') })
      await outcomes.flush()
      t.match(await registry.get('a'), { state })
    }
  })

  await t.test('a job by its id, in whatever queue', async (t) => {
    const queues = [new MemoryQueue(), new MemoryQueue('second')]
    queues[1].put({ id: 'there' })
    const { registry } = registryOn(queues)
    t.match(await registry.get({ id: 'there' }), { id: 'there', queue: 'queue-1', name: 'a' })
    t.equal(await registry.get({ id: 'nowhere' }), undefined)
    t.match(await registry.get('a'), { queue: 'queue-1' })
  })

  await t.test('a job that ends while it is read, with its outcome, or not at all when it has gone', async (t) => {
    for (const [states, expected] of [[['active', 'completed'], 'completed'], [['active', 'unknown'], undefined], [new Array(20).fill('active'), undefined]] as const) {
      const { queue, registry } = registryWith({ state: 'active' })
      Object.assign(queue.entries.get('id')!, { finishedOn: 9, returnvalue: 7 })
      const left = [...states]
      queue.getJobState = async () => left.shift()!
      t.equal((await registry.get('a'))?.state, expected)
    }
  })

  await t.test('for a cancel the job that was live when it was asked for', async (t) => {
    for (const finishedOn of [undefined, Date.now() + 60_000, 9]) {
      const { queue, registry } = registryWith({ state: 'waiting' })
      const find = queue.getDeduplicationJobId.bind(queue)
      let late = false
      queue.getDeduplicationJobId = async (key) => {
        if (!late) return find(key)
        await first
        if (finishedOn !== undefined) queue.put({ ...failed, finishedOn })
        return 'id'
      }
      const first = registry.cancel('a')
      late = true
      const second = registry.cancel('a')
      t.equal(await first, true)
      t.equal(await second, finishedOn !== 9)
    }
  })

  await t.test('no record that is not one of ours', async (t) => {
    for (const data of [null, { id: 42 }, { name: 7 }, 'text'] as any[]) {
      const { queue, registry } = registryWith({ state: 'active' })
      queue.entries.get('id')!.data = data
      t.equal(await registry.get('a'), undefined)
      t.equal(await registry.cancel('a'), false)
      t.equal(await registry.heartbeatByName('a'), false)
      t.same(await namesOf(registry.list()), [])
    }
  })
})

t.test('a job that another tool has set going outside its name is found by it, and gets it back', async (t) => {
  for (const isPostgres of [false, true]) {
    const { queue, registry, parts: { events, outcomes, published } } = registryWith({ ...failed, opts: { deduplication: { id: 'a' } } })
    if (isPostgres) queue.withPool()
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    // As bull-board does it.
    await queue.stored('id').retry()
    t.match(await registry.get('a'), { state: 'pending', id: 'id' })
    t.equal(queue.keys.get('a'), 'id')
    await t.rejects(registry.add('kind', 1, { name: 'a' }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    queue.entries.get('id')!.state = 'active'
    queue.keys.clear()
    t.equal(await registry.heartbeatByName('a'), true)
    t.match(published, [{ event: 'heartbeat', jobId: 'id' }])
    queue.entries.get('id')!.state = 'waiting'
    queue.keys.clear()
    t.equal(await registry.cancel('a'), true)
    t.equal(queue.entries.size, 0)
  }
})

t.test('a name that is freed just when it was refused is free, if its job had ended before', async (t) => {
  for (const [finishedOn, isFree] of [[9, true], [Date.now() + 60_000, false]] as const) {
    const { queue, registry } = registryWith({ ...failed, finishedOn, opts: { deduplication: { id: 'a' } } })
    queue.keys.set('a', 'id')
    const { getDeduplicationJobId } = queue
    queue.getDeduplicationJobId = async (key) => {
      queue.keys.clear()
      return getDeduplicationJobId.call(queue, key)
    }
    const added = registry.add('kind', 1, { name: 'a' }).then(() => true, (error) => error.code)
    t.equal(await added, isFree || 'FST_ERR_JOB_NAME_IN_USE')
  }
})

t.test('a heartbeat is for a live job that is not being cancelled', async (t) => {
  for (const [more, expected] of [[{}, true], [{ data: { name: 'a', data: {}, cancel: {} } }, false]] as const) {
    const { registry, parts: { published } } = registryWith({ state: 'active', ...more })
    t.equal(await registry.heartbeatByName('a'), expected)
    t.equal(await registry.heartbeat('default', 'id'), expected)
    t.equal(await registry.heartbeatByName('nobody'), false)
    t.match(published, new Array(expected ? 2 : 0).fill({ event: 'heartbeat', jobId: 'id' }))
    t.equal(published.length, expected ? 2 : 0)
  }
  const { registry } = registryWith({ ...failed })
  t.equal(await registry.heartbeat('default', 'id'), false)
  t.equal(await registry.heartbeat('default', 'gone'), false)
})

t.test('a wait ends as the job does, or when it is given up', async (t) => {
  const { registry } = registryWith({ id: 'done', state: 'completed', finishedOn: 9, returnvalue: 7 }, { id: 'failed', ...failed }, { id: 'live' })
  t.equal(await registry.wait({ queue: 'default', id: 'done', name: 'a', attempts: 1 }, {}), 7)
  await t.rejects(registry.wait({ queue: 'default', id: 'failed', name: 'a', attempts: 1 }, { timeout: 10_000 }), { code: 'FST_ERR_JOB_FAILED', message: 'no' })
  await t.rejects(registry.wait({ queue: 'default', id: 'live', name: 'a', attempts: 1 }, { timeout: 10 }), { code: 'FST_ERR_JOB_WAIT_TIMEOUT', message: "Job 'a' has not ended within 10 ms" })
})

t.test('all that had ended is purged, in slices', async (t) => {
  const { queue, registry } = registryWith()
  const time = Date.now()
  for (let i = 0; i < 12_000; i++) queue.put({ id: `c-${i}`, data: { name: `c-${i}`, data: {} }, state: 'completed', finishedOn: time })
  for (let i = 0; i < 5_000; i++) queue.put({ id: `f-${i}`, data: { name: `f-${i}`, data: {} }, state: 'failed', finishedOn: time })
  queue.put({ id: 'later', state: 'failed', finishedOn: time + 60_000 })
  queue.put({ id: 'live', data: { name: 'live', data: {} } })
  t.equal(await registry.purge(), 17_000)
  t.same([...queue.entries.keys()], ['later', 'live'])
  t.equal(queue.asked.filter((asked) => asked === 'cleanJobsByState').length, 6)
})

t.test('a slice that is short, for one of it was retried, does not end the purge', async (t) => {
  const { queue, registry } = registryWith()
  const slices = [4_999, 10, 0, 0]
  queue.withPool(async () => ({ rowCount: slices.shift() }))
  t.equal(await registry.purge(), 5_009)
  t.same(slices, [])
})

t.test('retrying', async (t) => {
  await t.test('is for one at a time: who comes late does not set going what has its name for another', async (t) => {
    const retrying = { at: Date.now(), starts: 1 }
    const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: {}, attemptsStarted: 1, data: { name: 'a', data: {}, retrying } })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    queue.keys.set('a', 'id')
    await t.rejects(registry.retry('a'), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    t.equal(queue.entries.get('id')!.state, 'failed')
    t.equal(queue.keys.get('a'), 'id', 'it has its name still')
  })

  await t.test('is noted in the record before it takes the name', async (t) => {
    const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: {} })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    const { set } = queue.keys
    let noted
    queue.keys.set = (name, id) => {
      noted = queue.entries.get('id')!.data.retrying
      return set.call(queue.keys, name, id)
    }
    await registry.retry('a')
    t.match(noted, { at: Number, starts: Number })
  })

  await t.test('runs a failed job again under its name and id', async (t) => {
    const cancel = { value: 'why' }
    const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: { deduplication: { id: 'a' } }, data: { name: 'a', data: { n: 1 }, ttl: 5, cancel, expiresAt: 1 } })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    t.match(await registry.retry('a'), { id: 'id', name: 'a', state: 'pending', error: undefined, endedAt: undefined, startedAt: undefined })
    const { retrying, ...data } = queue.entries.get('id')!.data
    t.strictSame(data, { name: 'a', data: { n: 1 }, ttl: 5, retries: 1 }, 'nobody cancels it any more')
    t.match(retrying, { at: Number, starts: queue.entries.get('id')!.attemptsStarted })
    t.equal(queue.keys.get('a'), 'id')
    t.same(await outcomes.find('default', ['id']), new Map(), 'how it ended before is no evidence')
    await t.rejects(registry.retry('a'), { code: 'FST_ERR_JOB_NAME_IN_USE' })
  })

  await t.test('refuses one that is unknown, has not failed, or whose name is taken', async (t) => {
    const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: {} }, { id: 'done', data: { name: 'b', data: {} }, state: 'completed', finishedOn: 9 })
    events.emit('ended', { queue: 'default', job: queue.stored('done'), result: 7 })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    await t.rejects(registry.retry('nobody'), { code: 'FST_ERR_JOB_NOT_FOUND' })
    await t.rejects(registry.retry('b'), { code: 'FST_ERR_JOB_NOT_FAILED', message: /'b'.*completed/ })
    await registry.add('kind', 1, { name: 'a' })
    await t.rejects(registry.retry('a'), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    t.equal(queue.entries.get('id')!.state, 'failed')
  })

  await t.test('no add takes the name from a retry that is under way, unless that takes too long', async (t) => {
    const now = Date.now()
    for (const [at, starts, finishedOn, isFree] of [
      [now, 2, 9, false], [now - 9_000, 2, 9, false], [now - 11_000, 2, 9, true], [now, 1, now - 1, false], [now, 1, now, true], [now, 2, now + 1, false]
    ] as const) {
      const { queue, registry } = registryWith({ ...failed, opts: {}, attemptsStarted: 2, finishedOn, data: { name: 'a', data: {}, retrying: { at, starts } } })
      queue.keys.set('a', 'id')
      const added = registry.add('kind', 1, { name: 'a' }).then(() => true, (error) => error.code)
      t.equal(await added, isFree || 'FST_ERR_JOB_NAME_IN_USE')
    }
  })

  await t.test('two at once set it going once, and it has its name', async (t) => {
    const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: { deduplication: { id: 'a' } } })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    const results = await Promise.allSettled([registry.retry('a'), registry.retry('a')])
    t.match(results.find(({ status }) => status === 'rejected'), { reason: { code: 'FST_ERR_JOB_NAME_IN_USE' } })
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    t.equal(queue.keys.get('a'), 'id')
  })

  await t.test('leaves its name to a job that another tool has set going meanwhile', async (t) => {
    const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: {} })
    events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    const { set } = queue.keys
    queue.keys.set = (name, id) => {
      Object.assign(queue.entries.get('id')!, { state: 'waiting', finishedOn: undefined })
      return set.call(queue.keys, name, id)
    }
    await t.rejects(registry.retry('a'), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    t.equal(queue.keys.get('a'), 'id')
  })

  await t.test('gives the name back when the job has gone, or another has taken the name, meanwhile', async (t) => {
    for (const [meddle, code] of [
      [(queue: MemoryQueue) => { queue.entries.get('id')!.state = 'completed' }, 'FST_ERR_JOB_NOT_FOUND'],
      [(queue: MemoryQueue) => { queue.keys.set('a', 'new'); queue.put({ id: 'new', opts: {} }) }, 'FST_ERR_JOB_NAME_IN_USE'],
      [(queue: MemoryQueue) => { queue.getBackend().forQueue = () => { throw new Error('away') } }, 'FST_ERR_JOB_ENGINE_UNAVAILABLE']
    ] as const) {
      const { queue, registry, parts: { events, outcomes } } = registryWith({ ...failed, opts: {} })
      events.emit('ended', { queue: 'default', job: queue.stored('id'), error: new Error('no') })
      await outcomes.flush()
      const { getJob } = queue
      queue.getJob = async (id) => { const job = await getJob.call(queue, id); queue.getJob = getJob; setImmediate(() => {}); return job }
      const { getJobState } = queue
      queue.getJobState = async (id) => {
        const state = await getJobState.call(queue, id)
        meddle(queue)
        queue.getJobState = getJobState
        return state
      }
      await t.rejects(registry.retry('a'), { code })
      t.not(queue.keys.get('a'), 'id')
    }
  })
})

t.test('queues are paused, resumed and counted, one or all', async (t) => {
  const queues = [new MemoryQueue(), new MemoryQueue('second')]
  const { registry } = registryOn(queues)
  queues[0].put({ id: 'one' })
  queues[1].put({ id: 'two' })
  queues[1].put({ id: 'three', state: 'active' })
  await registry.pause()
  t.same(queues.map(({ paused }) => paused), [true, true])
  await registry.resume('queue-1')
  t.same(queues.map(({ paused }) => paused), [true, false])
  const none = { waiting: 0, prioritized: 0, delayed: 0, paused: 0, active: 0, completed: 0, failed: 0 }
  t.strictSame(await registry.counts(), { ...none, waiting: 2, active: 1 })
  t.strictSame(await registry.counts('queue-1'), { ...none, waiting: 1, active: 1 })
  t.strictSame(await registry.stateOf('default'), { counts: { ...none, waiting: 1 }, paused: true })
  for (const verb of ['pause', 'resume', 'counts'] as const) await t.rejects(async () => { await registry[verb]('none') }, { code: 'FST_ERR_JOB_UNKNOWN_QUEUE', statusCode: 404 })
})

t.test('what is known of a job without a record is read by its id', async (t) => {
  const { queue, registry, parts: { events, outcomes } } = registryWith({ state: 'completed', finishedOn: 9, processedOn: 5, attemptsStarted: 1 }, { id: 'two', ...failed })
  events.emit('ended', { queue: 'default', job: queue.stored('id'), result: 7 })
  events.emit('ended', { queue: 'default', job: queue.stored('two'), error: new Error('no') })
  await outcomes.flush()
  t.match(await registry.read('default', 'two'), { state: 'failed', error: { message: 'no' } })
  queue.entries.clear()
  const job = (await registry.read('default', 'id'))!
  t.match(job, { id: 'id', name: 'a', state: 'completed', result: 7, attempts: 1, createdAt: 1, startedAt: 5, endedAt: 9 })
  t.equal(await job.wait(), 7)
  t.match(await registry.read('default', 'two'), { state: 'failed', error: { code: 'FST_ERR_JOB_FAILED', message: 'no' } })
  t.equal(await registry.read('default', 'nobody'), undefined)
})
