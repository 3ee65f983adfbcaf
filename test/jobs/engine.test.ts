import { EventEmitter } from 'node:events'
import { isPgPool } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { checkPluginOptions } from '../../lib/jobs/options'
import { Store } from '../../lib/jobs/engine'
import { FakeTime } from '../fixtures/fake-time'

const nextTurn = setImmediate
const time = new FakeTime()
t.teardown(time.restore)
const pass = (ms: number): Promise<void> => time.pass(ms, () => {})

const never = (): Promise<never> => new Promise(() => {})

interface Behaviour {
  waitUntilReady: () => Promise<unknown>
  close: () => Promise<unknown>
  cut: (force: boolean) => Promise<unknown>
  run: () => Promise<unknown>
}

/** A store on an engine that only notes what it is told, and does as it is told here. */
function storeOf (options: object, { worker = true } = {}) {
  const warnings: any[] = []
  const calls: unknown[] = []
  const parts: any[] = []
  const behaviour: Behaviour = { waitUntilReady: async () => {}, close: async () => {}, cut: async () => {}, run: async () => {} }
  class Part extends EventEmitter {
    readonly made: unknown[]
    readonly listenClient = new EventEmitter()
    readonly backend = {
      connection: { getListenClient: async () => this.listenClient },
      publishEvent: async (...args: unknown[]) => { calls.push(['publishEvent', ...args]); return 'event-1' },
      close: async (force: boolean) => { calls.push(['cut', this.constructor.name, force]); return behaviour.cut(force) }
    }

    constructor (...made: unknown[]) {
      super()
      this.made = made
      calls.push(['made', this.constructor.name])
      parts.push(this)
    }

    getBackend (): unknown { return this.backend }
    waitUntilReady (): Promise<unknown> { return behaviour.waitUntilReady() }
    close (): Promise<unknown> { calls.push(['close', this.constructor.name]); return behaviour.close() }
    run (): Promise<unknown> { calls.push(['run']); return behaviour.run() }
  }
  const engine = {
    isPgPool,
    createPostgresBackend: () => {},
    Queue: class Queue extends Part {},
    QueueEvents: class QueueEvents extends Part {},
    Worker: class Worker extends Part {}
  }
  const log = { warn: (...args: unknown[]) => { warnings.push(args) } } as unknown as FastifyBaseLogger
  const processor = async (): Promise<void> => {}
  const store = new Store(checkPluginOptions(log, options as never), log, worker ? processor : undefined)
  return { store: Object.assign(store, { engine }) as Store, engine, behaviour, calls, parts, warnings, processor }
}

const REDIS = { connection: { port: 1 } }
const POSTGRES = { connection: 'postgres://127.0.0.1/x' }

t.test('Redis is asked through a connection that fails at once, and listened to through others that wait', async (t) => {
  const { store, parts, processor } = storeOf({
    ...REDIS, queue: 'q', concurrency: 3, lockDuration: 5_000, maxStalledCount: 2, removeOnComplete: 7, removeOnFail: true
  })
  await store.open()
  const [queue, events, worker] = parts.map(({ made }) => made)
  const retryStrategy = Function
  t.match(queue, ['q', { connection: { port: 1, enableOfflineQueue: false, maxRetriesPerRequest: 1, retryStrategy } }, undefined])
  t.strictSame(queue[1].defaultJobOptions, { removeOnComplete: 7, removeOnFail: true })
  const waiting = { port: 1, retryStrategy }
  t.match(events, ['q', { connection: waiting, lastEventId: 'event-1' }, undefined])
  t.match(worker, ['q', processor, {
    connection: waiting, concurrency: 3, lockDuration: 5_000, stalledInterval: 1_000, maxStalledCount: 2, runRetryDelay: 1_000, autorun: false
  }, undefined])
  for (const options of [queue[1], events[1], worker[2]]) {
    for (const absent of ['prefix', 'telemetry', 'limiter', 'blockingTimeout', 'drainDelay']) t.notOk(absent in options, absent)
    t.notOk('migrate' in options.connection)
  }
  for (const { connection } of [events[1], worker[2]]) {
    t.equal(connection.maxRetriesPerRequest, null)
    t.notOk('enableOfflineQueue' in connection)
  }
})

t.test('the engine gets the prefix, the telemetry and the limiter that are set', async (t) => {
  const more = { redisPrefix: 'p', telemetry: { tracer: {} }, limiter: { max: 1, duration: 2 } }
  const { store, parts } = storeOf({ ...REDIS, ...more })
  await store.open()
  const { limiter, ...common } = more
  t.match(parts.map(({ made }) => made), [['fastify-tasks', common], ['fastify-tasks', common], ['fastify-tasks', Function, { ...common, limiter }]])
  t.notOk('limiter' in parts[0].made[1])
})

t.test('a lost connection to Redis is tried again, sooner or as the user says, until the store is left', async (t) => {
  const strategyOf = (one: any): (times: number) => number | null => one.made.at(-2).connection.retryStrategy
  const { store, parts } = storeOf({ connection: 'redis://127.0.0.1:1' })
  await store.open()
  t.equal(parts[0].made[1].connection.url, 'redis://127.0.0.1:1')
  t.same([1, 5, 10, 11].map(strategyOf(parts[0])), [100, 500, 1_000, 1_000])
  const own = storeOf({ connection: { port: 1, retryStrategy: (times: number) => times } })
  await own.store.open()
  t.equal(strategyOf(own.parts[2])(7), 7)
  await own.store.stopWorking()
  t.equal(strategyOf(own.parts[2])(7), null)
})

t.test('PostgreSQL is given the engine\'s backend, its tables, few connections and no time to waste', async (t) => {
  const defaults = { migrate: true, max: 4, connectionTimeoutMillis: 5_000 }
  for (const [connection, expected] of [
    ['postgres://127.0.0.1/x', { connectionString: 'postgres://127.0.0.1/x', ...defaults }],
    ['postgresql://127.0.0.1/x', { connectionString: 'postgresql://127.0.0.1/x', ...defaults }],
    [{ database: 'x' }, { database: 'x', ...defaults }],
    [{ user: 'x', max: 9, migrate: false }, { user: 'x', ...defaults, max: 9, migrate: false }],
    [{ connectionString: 'x', skipMigrations: true }, { connectionString: 'x', skipMigrations: true, max: 4, connectionTimeoutMillis: 5_000 }]
  ] as const) {
    const { store, parts, engine } = storeOf({ connection })
    await store.open()
    const [queue, events, worker] = parts.map(({ made }) => made)
    for (const options of [queue[1], events[1], worker[2]]) t.strictSame(options.connection, expected)
    // It is looked at more often than Redis.
    t.match([events[1], worker[2]], [{ blockingTimeout: 500, drainDelay: 0.3 }, { blockingTimeout: 500, drainDelay: 0.3 }])
    for (const made of [queue, events, worker]) t.equal(made.at(-1), engine.createPostgresBackend)
  }
})

t.test('a client or a pool of the user\'s is handed over as it is', async (t) => {
  const client = { duplicate () {} }
  const redis = storeOf({ connection: client })
  await redis.store.open()
  const pool = new pg.Pool()
  const postgres = storeOf({ connection: pool })
  await postgres.store.open()
  for (const { made } of redis.parts) t.equal(made.at(-2).connection, client)
  for (const { made } of postgres.parts) {
    t.equal(made.at(-2).connection, pool)
    t.equal(made.at(-1), postgres.engine.createPostgresBackend)
  }
})

t.test('the connection that listens to PostgreSQL keeps who listens for its errors', async (t) => {
  const { store, parts } = storeOf(POSTGRES)
  await store.open()
  for (const { backend, listenClient } of parts) {
    listenClient.on('error', () => {})
    const client = await backend.connection.getListenClient()
    t.equal(client, listenClient)
    t.equal(client.removeAllListeners('error'), client)
    t.equal(client.listenerCount('error'), 1)
  }
  const redis = storeOf(REDIS)
  await redis.store.open()
  const client = await redis.parts[1].backend.connection.getListenClient()
  client.on('error', () => {})
  t.equal(client.removeAllListeners('error').listenerCount('error'), 0)
})

t.test('it listens from an event of its own on, and tells what the engine tells', async (t) => {
  const { store, calls, parts } = storeOf(REDIS)
  const heard: unknown[] = []
  for (const event of ['completed', 'failed', 'cancel', 'heartbeat', 'lost']) store.events.on(event, (args) => heard.push([event, args]))
  await store.open()
  t.strictSame(calls.slice(0, 3), [['made', 'Queue'], ['publishEvent', { event: 'hello', jobId: '' }, 10_000], ['made', 'QueueEvents']])
  const [, events, worker] = parts
  const expected = ['completed', 'failed', 'cancel', 'heartbeat'].map((event) => [event, { jobId: event }])
  for (const [event, args] of expected) events.emit(event, args)
  worker.emit('lockRenewalFailed', ['id'])
  t.strictSame(heard, [...expected, ['lost', ['id']]])
  await store.publish('cancel', 'id', { reason: '{}' })
  t.strictSame(calls.at(-1), ['publishEvent', { event: 'cancel', jobId: 'id', reason: '{}' }, 10_000])
})

t.test('a process that does not work has no worker', async (t) => {
  const { store, parts } = storeOf(REDIS, { worker: false })
  await store.open()
  store.work()
  t.same(parts.map(({ constructor }) => constructor.name), ['Queue', 'QueueEvents'])
  t.equal(await store.ask(async () => 'there'), 'there')
})

t.test('the worker takes jobs from when it is told to, and the store is there', async (t) => {
  const later = storeOf(REDIS)
  await later.store.open()
  t.notMatch(later.calls, [['run']])
  t.equal(later.calls.filter(([call]: any) => call === 'run').length, 0)
  later.store.work()
  t.equal(later.calls.filter(([call]: any) => call === 'run').length, 1)

  const sooner = storeOf(REDIS)
  sooner.store.work()
  t.equal(sooner.calls.length, 0)
  await sooner.store.open()
  t.equal(sooner.calls.filter(([call]: any) => call === 'run').length, 1)
})

t.test('a worker that breaks down is a problem of the engine, and told', async (t) => {
  const { store, behaviour, warnings } = storeOf(REDIS)
  behaviour.run = async () => { throw new Error('broken') }
  await store.open()
  store.work()
  await time.settle()
  t.match(warnings, [[{ err: { message: 'broken' } }, 'The job engine reports a problem']])
})

t.test('a store that is away is tried again every half second, each time from the start', async (t) => {
  const { store, behaviour, calls, parts, warnings } = storeOf(REDIS)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  store.work()
  await store.open()
  t.strictSame(calls, [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true]])
  await t.rejects(store.ask(async () => 'there'), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  await pass(499)
  t.equal(parts.length, 1)
  await pass(1)
  t.equal(parts.length, 2)
  await pass(500)
  t.equal(parts.length, 3)
  t.match(warnings, [[{ err: { message: 'away' } }, 'The job engine reports a problem']])
  t.equal(warnings.length, 1, 'once for the whole outage')
  behaviour.waitUntilReady = async () => {}
  await pass(500)
  t.equal(parts.length, 6)
  t.equal(await store.ask(async () => 'there'), 'there')
  t.equal(calls.filter(([call]: any) => call === 'run').length, 1)
  await pass(2_000)
  t.equal(parts.length, 6)
})

t.test('a store that was never there is not tried again once the app closes', async (t) => {
  for (const leave of [(store: Store) => store.stopWorking(), (store: Store) => store.close(100)]) {
    const { store, behaviour, parts } = storeOf(REDIS)
    behaviour.waitUntilReady = async () => { throw new Error('away') }
    await store.open()
    await leave(store)
    await pass(2_000)
    t.equal(parts.length, 1)
  }
})

t.test('a store that is reached when the app closes already is left at once', async (t) => {
  for (const leave of [(store: Store) => store.stopWorking(), (store: Store) => store.close(100)]) {
    const { store, behaviour, calls } = storeOf(REDIS)
    let reach = (): void => {}
    behaviour.waitUntilReady = () => new Promise<void>((resolve) => { reach = resolve })
    store.work()
    store.open()
    await time.settle()
    await leave(store)
    behaviour.waitUntilReady = async () => {}
    reach()
    await pass(10)
    t.strictSame(calls.filter(([call]: any) => call === 'made').map(([, part]: any) => part), ['Queue', 'QueueEvents', 'Worker'])
    t.strictSame(calls.filter(([call]: any) => call === 'cut').map(([, part]: any) => part), ['Queue', 'QueueEvents', 'Worker'])
    t.notOk(calls.some(([call]: any) => call === 'run'))
    await t.rejects(store.ask(async () => 'there'), { code: 'FST_ERR_JOBS_CLOSED' })
  }
})

t.test('a boot waits five seconds for a store that is silent', async (t) => {
  const { store, behaviour, warnings } = storeOf(REDIS)
  behaviour.waitUntilReady = never
  let open = false
  store.open().then(() => { open = true })
  await pass(4_999)
  t.notOk(open)
  await pass(1)
  t.ok(open)
  t.same(warnings, [])
})

for (const name of ['SchemaMigrationRequiredError', 'SchemaVersionMismatchError', 'UnsupportedPostgresVersionError']) {
  t.test(`a boot fails for good with a ${name}`, async (t) => {
    const { store, behaviour, calls, parts, warnings } = storeOf(POSTGRES)
    behaviour.waitUntilReady = async () => { throw Object.assign(new Error('not so'), { name }) }
    await t.rejects(store.open(), { name })
    t.strictSame(calls, [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true]])
    await pass(1_000)
    t.equal(parts.length, 1)
    t.same(warnings, [])
  })
}

t.test('what no attempt will change is told when the boot is over, and ends the attempts', async (t) => {
  const { store, behaviour, parts, warnings } = storeOf(POSTGRES)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  await store.open()
  const cause = Object.assign(new Error('not so'), { name: 'SchemaVersionMismatchError' })
  behaviour.waitUntilReady = async () => { throw cause }
  await pass(2_000)
  t.equal(parts.length, 2)
  t.same(warnings.map(([{ err }]) => err.message), ['away', 'not so'])
  t.equal((await store.ask(async () => {}).catch((error) => error)).cause, cause)
})

t.test('a problem is told once, and again after an answer', async (t) => {
  const { store, parts, warnings } = storeOf(REDIS)
  await store.open()
  for (const part of parts) part.emit('error', new Error('away'))
  t.match(warnings, [[{ err: { message: 'away' } }, 'The job engine reports a problem']])
  parts[0].emit('error', new Error('still away'))
  parts[0].emit('error', new Error('still away'))
  t.equal(warnings.length, 2)
  await store.ask(async () => 'there')
  parts[0].emit('error', new Error('still away'))
  t.equal(warnings.length, 3)
  await store.stopWorking()
  parts[0].emit('error', new Error('closed'))
  t.equal(warnings.length, 3)
})

async function reached (t: Test): Promise<Store> {
  const { store } = storeOf(REDIS)
  await t.rejects(store.ask(async () => t.fail('it was asked')), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  await store.open()
  return store
}

t.test('what the engine answers is told, and what the store cannot answer is unavailable', async (t) => {
  const store = await reached(t)
  t.equal(await store.ask(async (queue) => queue.constructor.name), 'Queue')
  const gone = Object.assign(new Error('gone'), { code: -1 })
  await t.rejects(store.ask(async () => { throw gone }), { code: -1 })
  for (const cause of [new Error('away'), Object.assign(new Error('away'), { code: 'ECONNREFUSED' }), Object.assign(new Error('away'), { code: '08P22' })]) {
    const error = await store.ask(async () => { throw cause }).catch((error) => error)
    t.match(error, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
    t.equal(error.cause, cause)
  }
  const data = Object.assign(new Error('unsupported Unicode escape sequence'), { code: '22P05' })
  await t.rejects(store.ask(async () => { throw data }), { code: 'FST_ERR_JOB_INVALID_TEXT', message: /unsupported Unicode/, cause: data })
  t.equal(time.timers.size, 0)
})

t.test('a store that was never reached tells why', async (t) => {
  const { store, behaviour } = storeOf(REDIS)
  const cause = new Error('no route')
  behaviour.waitUntilReady = async () => { throw cause }
  await store.open()
  const error = await store.ask(async () => {}).catch((error) => error)
  t.equal(error.code, 'FST_ERR_JOB_ENGINE_UNAVAILABLE')
  t.equal(error.cause, cause)
  await store.close(1_000)
})

t.test('closing lets what was asked be answered, unless that takes long', async (t) => {
  for (const answered of [true, false]) {
    const { store, calls } = storeOf(REDIS)
    await store.open()
    calls.length = 0
    let answer = (_value: string): void => {}
    const asked = store.ask(() => new Promise<string>((resolve) => { answer = resolve })).catch((error) => error.code)
    store.close(10_000)
    await pass(answered ? 100 : 833)
    t.strictSame(calls, [])
    if (answered) answer('late')
    await pass(2)
    t.match(calls, [['close', 'Queue']])
    if (!answered) answer('too late')
    t.equal(await asked, answered ? 'late' : 'too late')
  }
})

t.test('who leaves lets the jobs end, and waits for no connection that is lost', async (t) => {
  const { store, calls, parts, behaviour } = storeOf(REDIS)
  await store.open()
  const lost = { status: 'connecting' }
  const there = { status: 'ready' }
  Object.assign(parts[0].backend, { client: Promise.resolve(there) })
  Object.assign(parts[2].backend, { client: Promise.resolve(there), blockingClient: Promise.resolve(lost) })
  let ended = (): void => {}
  behaviour.close = () => new Promise<void>((resolve) => { ended = resolve })
  calls.length = 0
  let left = false
  store.stopWorking().then(() => { left = true })
  await pass(100)
  t.strictSame(calls, [])
  lost.status = 'reconnecting'
  await pass(100)
  t.strictSame(calls, [])
  lost.status = 'end'
  await pass(20)
  t.strictSame(calls, [['close', 'Worker']])
  t.notOk(left)
  ended()
  await time.settle()
  t.ok(left)
  t.equal(await store.ask(async () => 'there'), 'there', 'the store is still asked')
})

t.test('who leaves before the store was reached waits for nothing', async (t) => {
  const { store, parts, behaviour } = storeOf(REDIS)
  behaviour.waitUntilReady = never
  const opening = store.open()
  Object.assign(parts[0].backend, { client: Promise.resolve({ status: 'reconnecting' }) })
  const since = time.now
  await store.stopWorking()
  t.equal(time.now, since)
  await pass(5_000)
  await opening
})

t.test('closing closes every part, and then cuts it off', async (t) => {
  const { store, calls } = storeOf(REDIS)
  await store.open()
  store.events.on('completed', () => {})
  calls.length = 0
  await store.close(1_000)
  const names = ['Queue', 'QueueEvents', 'Worker']
  t.strictSame(calls, [...names.map((name) => ['close', name]), ...names.map((name) => ['cut', name, true])])
  t.same(store.events.eventNames(), [])
  await t.rejects(store.ask(async () => 'there'), { code: 'FST_ERR_JOBS_CLOSED' })
  await store.close(1_000)
  t.equal(calls.length, 6, 'once')
})

t.test('what does not close is cut off soon, and what goes wrong then is of no interest', async (t) => {
  const { store, behaviour, calls, warnings } = storeOf(REDIS)
  await store.open()
  behaviour.close = never
  behaviour.cut = async () => { throw new Error('cut') }
  calls.length = 0
  let closed = false
  store.close(10_000).then(() => { closed = true })
  await pass(833)
  t.equal(calls.length, 3)
  await pass(2)
  t.equal(calls.length, 6)
  t.ok(closed)
  behaviour.close = async () => { throw new Error('close') }
  t.same(warnings, [])
})

t.test('a close that fails is a problem of the engine, and the part is cut off', async (t) => {
  const { store, behaviour, calls, warnings } = storeOf(REDIS)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  behaviour.close = async () => { throw new Error('not closed') }
  behaviour.cut = async () => { throw new Error('not cut') }
  await store.open()
  await time.settle()
  t.strictSame(calls.slice(0, 3), [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true]])
  t.same(warnings.map(([{ err }]) => err.message), ['not closed', 'not cut', 'away'])
  await store.close(10)
})

t.test('a connection to Redis that the engine has let go of is cut off, unless it was never there or is the user\'s', async (t) => {
  const clients: EventEmitter[] = []
  const clientOf = (name: string, status = 'ready') => {
    const client = Object.assign(new EventEmitter(), { status, disconnect: () => { cut.push(name) } })
    clients.push(client)
    return Promise.resolve(client)
  }
  const cut: string[] = []
  const { store, parts, behaviour } = storeOf(REDIS)
  await store.open()
  Object.assign(parts[0].backend, { client: clientOf('queue') })
  Object.assign(parts[1].backend, { client: Promise.reject(new Error('away')) })
  Object.assign(parts[2].backend, { client: clientOf('worker'), blockingClient: clientOf('blocking') })
  behaviour.close = async () => { throw new Error('not writable') }
  // Closing has begun: the engine goes on waiting until the connection ends.
  behaviour.cut = async () => { while (cut.length < 3) await new Promise((resolve) => nextTurn(resolve)) }
  await store.close(1_000)
  t.strictSame(cut, ['queue', 'worker', 'blocking'])
  clients[0].emit('connecting')
  t.strictSame(cut.splice(3), ['queue'], 'it stays cut off')

  const ended = storeOf(REDIS)
  await ended.store.open()
  Object.assign(ended.parts[0].backend, { client: clientOf('ended', 'end') })
  await ended.store.close(1_000)
  t.equal(cut.length, 3)
  clients.at(-1)!.emit('connecting')
  t.strictSame(cut.splice(3), ['ended'], 'nor is it taken up again')

  const absent = storeOf(REDIS)
  await absent.store.open()
  Object.assign(absent.parts[0].backend, { client: never() })
  await absent.store.close(1_000)

  for (const options of [{ connection: { duplicate () {} } }, POSTGRES]) {
    const other = storeOf(options)
    await other.store.open()
    Object.assign(other.parts[0].backend, { client: clientOf('not ours') })
    await other.store.close(1_000)
  }
  t.equal(cut.length, 3)
})

t.test('closing is over after its timeout, whatever the store does', async (t) => {
  const { store, behaviour } = storeOf(REDIS)
  await store.open()
  behaviour.cut = never
  let closed = false
  store.close(100).then(() => { closed = true })
  await pass(99)
  t.notOk(closed)
  await pass(1)
  t.ok(closed)
})

t.test('a store that says nothing for five seconds is unavailable, and not before', async (t) => {
  const store = await reached(t)
  let failure: any
  store.ask(never).catch((error) => { failure = error })
  await pass(4_999)
  t.equal(failure, undefined)
  await pass(1)
  t.match(failure, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { message: 'No answer for 5000 ms' } })
  t.equal(time.timers.size, 0)
})

t.test('a store that answers one of many questions is not silent', async (t) => {
  const store = await reached(t)
  let failure: any
  store.ask(never).catch((error) => { failure = error })
  await pass(3_000)
  await store.ask(async () => 'there')
  await pass(4_999)
  t.equal(failure, undefined)
  await pass(1)
  t.match(failure, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})

t.test('an answer that waited while the event loop was blocked is an answer', async (t) => {
  const store = await reached(t)
  const faked = globalThis.setImmediate
  // What the socket has received is read between the timers and the immediates.
  globalThis.setImmediate = nextTurn
  t.teardown(() => { globalThis.setImmediate = faked })
  let answer = (_value: string): void => {}
  const asked = store.ask(() => new Promise<string>((resolve) => { answer = resolve }))
  time.stall(6_000)
  answer('late')
  t.equal(await asked, 'late')
  await time.settle()
  t.equal(time.timers.size, 0)
})

t.test('no timer of the store\'s holds up the end of the process', async (t) => {
  time.restore()
  const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const before = timers()
  const { store, behaviour } = storeOf(REDIS)
  await store.open()
  t.equal(timers(), before, 'reached')
  behaviour.close = async () => { t.equal(timers(), before, 'closing') }
  const asked = store.ask(async () => 'there')
  await store.close(10_000)
  t.equal(await asked, 'there')
  t.equal(timers(), before, 'closed')
})
