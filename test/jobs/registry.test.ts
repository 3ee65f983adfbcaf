import t from 'tap'
import { CompletionWaiter } from '../../lib/jobs/completions'
import { JobRegistry } from '../../lib/jobs/registry'
import type { Kind } from '../../lib/jobs/kinds'
import type { Engine } from '../../lib/jobs/engine'
import { fakeEngine, stored } from '../fixtures/engine'
import { FakeTime } from '../fixtures/fake-time'

const registryOf = (engine: Engine, { kinds = {}, cancelTimeout = 20 }: { kinds?: Record<string, object>, cancelTimeout?: number } = {}): JobRegistry => (
  new JobRegistry(engine, new CompletionWaiter(engine), new Map(Object.entries(kinds)) as unknown as Map<string, Kind>, cancelTimeout)
)

const live = { getDeduplicationJobId: async (name: string) => name === 'a' ? 'id' : null }

async function namesOf (jobs: AsyncIterable<{ name: string }>): Promise<string[]> {
  const names = []
  for await (const { name } of jobs) names.push(name)
  return names
}

t.test('adding', async (t) => {
  const added: any[] = []
  const add = async (kind: string, data: object, options: { jobId: string }): Promise<object> => {
    added.push({ kind, data, options })
    return stored({ id: options.jobId, name: kind, data })
  }
  t.beforeEach(() => { added.length = 0 })

  await t.test('stores the job under a new id, its name unique among the live', async (t) => {
    const registry = registryOf(fakeEngine({ add }), { kinds: { kind: { options: {} } } })
    const job = await registry.add('kind', { n: 1 }, { name: 'a', ttl: 50, delay: 5 })
    t.match(job, { name: 'a', kind: 'kind', state: 'pending' })
    const { jobId } = added[0].options
    t.match(jobId, /^[0-9a-f-]{36}$/)
    t.strictSame(added, [{ kind: 'kind', data: { name: 'a', data: { n: 1 }, ttl: 50 }, options: { delay: 5, jobId, deduplication: { id: 'a' } } }])
  })

  await t.test('gives a job without a name one of its own', async (t) => {
    const registry = registryOf(fakeEngine({ add }), { kinds: { kind: { options: {} } } })
    const names = [(await registry.add('kind', 1)).name, (await registry.add('kind', 1)).name]
    for (const name of names) t.match(name, /^job-[0-9a-f-]{36}$/)
    t.not(names[0], names[1])
    t.same(added.map(({ options }) => options.deduplication.id), names)
  })

  await t.test('hands the engine\'s options over, the call\'s before the kind\'s, and no other', async (t) => {
    const registry = registryOf(fakeEngine({ add }), { kinds: { kind: { options: { schema: {}, timeout: 5, attempts: 3, priority: 1, sizeLimit: 100 } } } })
    await registry.add('kind', 1, { name: 'a', attempts: 2, lifo: true })
    t.strictSame(added[0].options, { attempts: 2, priority: 1, lifo: true, jobId: added[0].options.jobId, deduplication: { id: 'a' } })
  })

  await t.test('stores what the kind\'s schema makes of a copy of the data', async (t) => {
    const data = { n: 1 }
    const validate = (copy: { n: number }): void => {
      if (copy.n > 1) throw new Error('too many')
      copy.n = 7
    }
    const registry = registryOf(fakeEngine({ add }), { kinds: { kind: { options: {}, validate } } })
    await registry.add('kind', data)
    t.same(added[0].data.data, { n: 7 })
    t.same(data, { n: 1 })
    await t.rejects(registry.add('kind', { n: 2 }), { message: 'too many' })
    t.equal(added.length, 1)
  })

  await t.test('refuses more data than the limit of the kind or of the call, and stores nothing', async (t) => {
    const registry = registryOf(fakeEngine({ add }), { kinds: { small: { options: { queue: 'default', sizeLimit: 4 } }, free: { options: {} } } })
    await t.rejects(registry.add('small', 'abc'), { code: 'FST_ERR_JOB_INVALID_DATA', message: "Data of a job of kind 'small' has 5 bytes, more than its sizeLimit of 4" })
    await t.rejects(registry.add('free', 'abc', { sizeLimit: 4 }), { code: 'FST_ERR_JOB_INVALID_DATA' })
    t.same(added, [])
    await registry.add('small', 'ab', { name: 'longer than the limit' })
    await registry.add('small', 'abc', { sizeLimit: 5 })
    t.equal(added.length, 2)
  })

  await t.test('refuses what cannot be right, and stores nothing', async (t) => {
    const registry = registryOf(fakeEngine({ add }), { kinds: { kind: { options: {} } } })
    for (const [kind, data, options, code] of [
      ['other', 1, {}, 'FST_ERR_JOB_UNKNOWN_KIND'],
      [Symbol('kind'), 1, {}, 'FST_ERR_JOB_UNKNOWN_KIND'],
      ['kind', NaN, {}, 'FST_ERR_JOB_INVALID_DATA'],
      ['kind', 1, { backoff: { type: 'fixed', jitter: 2 } }, 'FST_ERR_JOB_INVALID_OPTION']
    ] as any[]) {
      await t.rejects(registry.add(kind, data, options), { code })
    }
    t.same(added, [])
  })

  await t.test('finds the name in use when the engine answers with another job', async (t) => {
    const registry = registryOf(fakeEngine({ add: async () => stored({ id: 'older' }) }), { kinds: { kind: { options: {} } } })
    await t.rejects(registry.add('kind', 1, { name: 'a' }), { code: 'FST_ERR_JOB_NAME_IN_USE', message: /'a'/ })
  })
})

t.test('a live job is read by its name', async (t) => {
  const asked: string[] = []
  const engine = fakeEngine({ ...live, getJob: async (id: string) => { asked.push(id); return stored({ attemptsStarted: 2 }) }, getJobState: async () => 'active' })
  t.match(await registryOf(engine).get('a'), { name: 'a', state: 'running', attempts: 2 })
  t.same(asked, ['id'], 'and once')
  for (const verb of ['get', 'cancel', 'heartbeatByName'] as const) {
    await t.rejects(async () => { await registryOf(engine)[verb]('') }, { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: /'name'/ })
  }
})

t.test('a job that has ended is found among the kept, by its name', async (t) => {
  const ended = (name: string): object => stored({ id: name, data: { name, data: {} }, finishedOn: 1, returnvalue: 7 })
  const engine = fakeEngine({ ...live, getJobs: async ([state]: [string]) => state === 'completed' ? [ended('b'), ended('c')] : [ended('d')] })
  t.match(await registryOf(engine).get('c'), { name: 'c', state: 'completed', result: 7 })
  t.match(await registryOf(engine).get('d'), { name: 'd', state: 'failed' })
  t.equal(await registryOf(engine).get('nobody'), undefined)
})

t.test('of the ended that had a name the latest is found, however they ended', async (t) => {
  for (const [completed, failed, state] of [[1, 2, 'failed'], [2, 1, 'completed'], [2, 2, 'failed']] as const) {
    const engine = fakeEngine({ getDeduplicationJobId: async () => null, getJobs: async ([state]: [string]) => [stored({ finishedOn: state === 'completed' ? completed : failed })] })
    t.match(await registryOf(engine).get('a'), { state })
  }
})

t.test('a job that ends while it is read is shown with its outcome, or not at all when it has gone', async (t) => {
  const ended = stored({ finishedOn: 1, returnvalue: 7 })
  for (const [answers, states, expected] of [
    [[stored(), ended], ['completed', 'completed'], { state: 'completed', result: 7 }],
    [[stored(), ended], ['failed', 'failed'], { state: 'failed' }],
    [[ended, ended], ['active', 'completed'], { state: 'completed', result: 7 }],
    [[stored(), undefined], ['completed', 'unknown'], undefined],
    [[undefined], ['unknown'], undefined],
    [[undefined], ['completed'], undefined]
  ] as const) {
    const [jobs, left] = [[...answers], [...states]]
    const engine = fakeEngine({ ...live, getJob: async () => jobs.shift(), getJobState: async () => left.shift(), getJobs: async () => [] })
    t.match(await registryOf(engine).get('a'), expected)
    t.same(jobs, [])
  }
})

t.test('a heartbeat is for a live job that is not being cancelled', async (t) => {
  const cancelled = stored({ data: { name: 'a', data: {}, cancel: {} } })
  for (const [job, expected] of [[stored(), true], [cancelled, false], [stored({ finishedOn: 1 }), false], [undefined, false]] as const) {
    const published: unknown[] = []
    const asked: string[] = []
    const registry = registryOf(fakeEngine({ ...live, getJob: async (id: string) => { asked.push(id); return job } }, published))
    t.equal(await registry.heartbeatByName('a'), expected)
    t.equal(await registry.heartbeat('default', 'id'), expected)
    t.equal(await registry.heartbeatByName('nobody'), false)
    t.same(asked, ['id', 'id'])
    t.same(published, expected ? [['heartbeat', 'id'], ['heartbeat', 'id']] : [])
  }
})

t.test('a wait ends as the job does', async (t) => {
  const completed = stored({ finishedOn: 1, returnvalue: 7, isFailed: async () => false })
  t.equal(await registryOf(fakeEngine({ getJob: async () => completed })).wait('default', 'id', 'a'), 7)
  const failed = stored({ finishedOn: 1, failedReason: 'no', isFailed: async () => true })
  await t.rejects(registryOf(fakeEngine({ getJob: async () => failed })).wait('default', 'id', 'a'), { code: 'FST_ERR_JOB_FAILED', message: 'no' })
})

t.test('all that has ended is purged, completed and failed', async (t) => {
  const asked: unknown[] = []
  const clean = async (...args: unknown[]): Promise<string[]> => { asked.push(args); return args[2] === 'completed' ? ['a', 'b'] : ['c'] }
  t.equal(await registryOf(fakeEngine({ clean })).purge(), 3)
  t.same(asked, [[0, 0, 'completed'], [0, 0, 'failed']])
})

t.test('a list goes from state to state, and reads page after page', async (t) => {
  const counts: Record<string, number> = { delayed: 0, prioritized: 100, waiting: 250, active: 1 }
  const asked: unknown[] = []
  const getJobs = async ([state]: [string], start: number, end: number): Promise<object[]> => {
    asked.push([state, start, end])
    const ids = Array.from({ length: counts[state] }, (_, i) => `${state}-${i}`).slice(start, end + 1)
    return ids.map((id) => stored({ id, data: { name: id } }))
  }
  const names = await namesOf(registryOf(fakeEngine({ getJobs })).list())
  t.equal(new Set(names).size, 351)
  t.equal(names.length, 351)
  t.same(asked, [
    ['delayed', 0, 99], ['prioritized', 0, 99], ['prioritized', 100, 199], ['waiting', 0, 99], ['waiting', 100, 199], ['waiting', 200, 299], ['active', 0, 99]
  ])
})

t.test('a job that moves on while the live are listed is listed once', async (t) => {
  t.same(await namesOf(registryOf(fakeEngine({ getJobs: async () => [stored()] })).list()), ['a'])
})

t.test('cancelling', async (t) => {
  const time = new FakeTime()
  t.teardown(time.restore)
  const pass = (ms: number): Promise<void> => time.pass(ms, () => {})

  /** An engine with one job. */
  function engineWith ({ state = 'active', job = stored(), removes = 1 }: { state?: string, job?: any, removes?: number } = {}) {
    const calls: unknown[] = []
    job.updateData = async (data: object) => { job.data = data; calls.push(['updateData', data]) }
    job.getState = async () => state
    const published: unknown[] = []
    const engine = fakeEngine({ ...live, getJob: async () => job, remove: async (id: string) => { calls.push(['remove', id]); return removes } }, published)
    return { job, calls, published, engine }
  }

  await t.test('is done with a name that nobody has', async (t) => {
    const { engine, published } = engineWith()
    t.equal(await registryOf(engine).cancel('nobody'), false)
    t.same(published, [])
  })

  for (const state of ['delayed', 'prioritized', 'waiting']) {
    await t.test(`removes a job that is ${state}, and tells everyone, who waits and who may have started it`, async (t) => {
      const { engine, calls, published } = engineWith({ state })
      t.equal(await registryOf(engine).cancel('a', 'why'), true)
      t.strictSame(calls, [['updateData', { name: 'a', data: {}, cancel: { value: 'why' } }], ['remove', 'id']])
      t.strictSame(published, [['cancel', 'id', { reason: '{"value":"why"}', removed: 'a' }]])
      await time.settle()
      t.equal(time.timers.size, 0)
    })
  }

  await t.test('asks what runs to stop, again and again, and waits until it has', async (t) => {
    const { engine, calls, published } = engineWith()
    const cancelled = registryOf(engine, { cancelTimeout: 5_000 }).cancel('a', 'why')
    await time.settle()
    await pass(600)
    t.strictSame(calls, [['updateData', { name: 'a', data: {}, cancel: { value: 'why' } }]])
    t.strictSame(published, new Array(3).fill(['cancel', 'id', { reason: '{"value":"why"}' }]))
    engine.events.emit('cancel', { jobId: 'id', reason: '{}', removed: 'a' })
    t.equal(await cancelled, true)
    await pass(1_000)
    t.equal(published.length, 3)
  })

  await t.test('keeps the reason of the first who asked', async (t) => {
    const { engine, published } = engineWith({ job: stored({ data: { name: 'a', data: {}, cancel: { value: 'first' } } }) })
    const cancelled = registryOf(engine).cancel('a', 'second')
    await time.settle()
    t.strictSame(published, [['cancel', 'id', { reason: '{"value":"first"}' }]])
    engine.events.emit('completed', { jobId: 'id' })
    t.equal(await cancelled, false)
  })

  await t.test('does not take a job for removed that another has claimed meanwhile', async (t) => {
    const { engine, published } = engineWith({ state: 'waiting', removes: 0 })
    const cancelled = registryOf(engine).cancel('a', 'why')
    await time.settle()
    t.strictSame(published, [['cancel', 'id', { reason: '{"value":"why"}' }]])
    engine.events.emit('completed', { jobId: 'id' })
    t.equal(await cancelled, false)
  })

  await t.test('gives up when the job still runs after the timeout, the request standing', async (t) => {
    for (const [cancelTimeout, requests] of [[0, 1], [20, 1], [250, 1], [251, 2], [600, 3]]) {
      const { engine, published } = engineWith()
      let outcome: any
      registryOf(engine, { cancelTimeout }).cancel('a').catch((error) => { outcome = error })
      await time.settle()
      if (cancelTimeout > 0) {
        await pass(cancelTimeout - 1)
        t.equal(outcome, undefined)
      }
      await pass(2)
      t.match(outcome, { code: 'FST_ERR_JOB_CANCEL_TIMEOUT', message: `Job 'a' is still running ${cancelTimeout} ms after it was cancelled` })
      t.equal(published.length, requests)
      t.equal(time.timers.size, 0)
    }
  })

  await t.test('is no cancel of a job that ends by itself, or has gone', async (t) => {
    for (const now of [stored({ finishedOn: 1, returnvalue: 7, isFailed: async () => false }), undefined]) {
      const answers = [stored()]
      const published: unknown[] = []
      const cancelled = registryOf(fakeEngine({ ...live, getJob: async () => answers.shift() ?? now }, published), { cancelTimeout: 2_000 }).cancel('a')
      await time.settle()
      await pass(501)
      t.equal(await cancelled, now === undefined)
      t.same(published, [])
    }
  })

  await t.test('goes on when another has removed the job, and says what else went wrong', async (t) => {
    for (const [code, expected] of [[-1, 'FST_ERR_JOB_CANCEL_TIMEOUT'], [-7, -7]] as const) {
      const { engine, job, published } = engineWith()
      job.updateData = async () => { throw Object.assign(new Error('the engine says no'), { code }) }
      let outcome: any
      registryOf(engine).cancel('a').catch((error) => { outcome = error })
      await time.settle()
      await pass(21)
      t.match(outcome, { code: expected })
      t.same(published, [])
      t.equal(time.timers.size, 0)
    }
  })

  await t.test('ends with the app, also while the store is silent', async (t) => {
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown): void => { unhandled.push(reason) }
    process.on('unhandledRejection', onUnhandled)
    t.teardown(() => process.off('unhandledRejection', onUnhandled))
    const { engine, job } = engineWith()
    let answer = (): void => {}
    job.updateData = () => new Promise<void>((resolve) => { answer = resolve })
    const completions = new CompletionWaiter(engine)
    const outcome = new JobRegistry(engine, completions, new Map(), 1_000).cancel('a').catch((error) => error.code)
    await time.settle()
    completions.close()
    await time.settle()
    answer()
    t.equal(await outcome, 'FST_ERR_JOBS_CLOSED')
    t.same(unhandled, [])
  })
})
