import { EventEmitter } from 'node:events'
import { isPgPool } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { checkPluginOptions } from '../../lib/jobs/options'
import { Engine } from '../../lib/jobs/engine'
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

/** A engine on an engine that only notes what it is told, and does as it is told here. */
function engineOf (options: object, { worker = true } = {}) {
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
  const bullmq = {
    isPgPool,
    createPostgresBackend: () => {},
    Queue: class Queue extends Part {},
    QueueEvents: class QueueEvents extends Part {},
    Worker: class Worker extends Part {}
  }
  const log = { warn: (...args: unknown[]) => { warnings.push(args) } } as unknown as FastifyBaseLogger
  const processor = async (): Promise<void> => {}
  const engine = new Engine(checkPluginOptions(log, { worker, ...options } as never), log, processor)
  return { engine: Object.assign(engine, { bullmq }) as Engine, bullmq, behaviour, calls, parts, warnings, processor }
}

const REDIS = { connection: { port: 1 } }
const POSTGRES = { connection: 'postgres://127.0.0.1/x' }

t.test('Redis is asked through a connection that fails at once, and listened to through others that wait', async (t) => {
  const { engine, parts, processor } = engineOf({
    ...REDIS, queue: 'q', concurrency: 3, lockDuration: 5_000, maxStalledCount: 2, removeOnComplete: 7, removeOnFail: true
  })
  await engine.open()
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
  const { engine, parts } = engineOf({ ...REDIS, ...more })
  await engine.open()
  const { limiter, ...common } = more
  t.match(parts.map(({ made }) => made), [['fastify-tasks', common], ['fastify-tasks', common], ['fastify-tasks', Function, { ...common, limiter }]])
  t.notOk('limiter' in parts[0].made[1])
})

t.test('a lost connection to Redis is tried again, sooner or as the user says, until the store is left', async (t) => {
  const strategyOf = (one: any): (times: number) => number | null => one.made.at(-2).connection.retryStrategy
  const { engine, parts } = engineOf({ connection: 'redis://127.0.0.1:1' })
  await engine.open()
  t.equal(parts[0].made[1].connection.url, 'redis://127.0.0.1:1')
  t.same([1, 5, 10, 11].map(strategyOf(parts[0])), [100, 500, 1_000, 1_000])
  const own = engineOf({ connection: { port: 1, retryStrategy: (times: number) => times } })
  await own.engine.open()
  t.equal(strategyOf(own.parts[2])(7), 7)
  await own.engine.drainWorkers()
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
    const { engine, parts, bullmq } = engineOf({ connection })
    await engine.open()
    const [queue, events, worker] = parts.map(({ made }) => made)
    for (const options of [queue[1], events[1], worker[2]]) t.strictSame(options.connection, expected)
    // It is looked at more often than Redis.
    t.match([events[1], worker[2]], [{ blockingTimeout: 500, drainDelay: 0.3 }, { blockingTimeout: 500, drainDelay: 0.3 }])
    for (const made of [queue, events, worker]) t.equal(made.at(-1), bullmq.createPostgresBackend)
  }
})

t.test('a client or a pool of the user\'s is handed over as it is', async (t) => {
  const client = { duplicate () {} }
  const redis = engineOf({ connection: client })
  await redis.engine.open()
  const pool = new pg.Pool()
  const postgres = engineOf({ connection: pool })
  await postgres.engine.open()
  for (const { made } of redis.parts) t.equal(made.at(-2).connection, client)
  for (const { made } of postgres.parts) {
    t.equal(made.at(-2).connection, pool)
    t.equal(made.at(-1), postgres.bullmq.createPostgresBackend)
  }
})

t.test('the connection that listens to PostgreSQL keeps who listens for its errors', async (t) => {
  const { engine, parts } = engineOf(POSTGRES)
  await engine.open()
  for (const { backend, listenClient } of parts) {
    listenClient.on('error', () => {})
    const client = await backend.connection.getListenClient()
    t.equal(client, listenClient)
    t.equal(client.removeAllListeners('error'), client)
    t.equal(client.listenerCount('error'), 1)
  }
  const redis = engineOf(REDIS)
  await redis.engine.open()
  const client = await redis.parts[1].backend.connection.getListenClient()
  client.on('error', () => {})
  t.equal(client.removeAllListeners('error').listenerCount('error'), 0)
})

t.test('it listens from an event of its own on, and tells what the engine tells', async (t) => {
  const { engine, calls, parts } = engineOf(REDIS)
  const heard: unknown[] = []
  for (const event of ['completed', 'failed', 'cancel', 'heartbeat', 'lost']) engine.events.on(event, (args) => heard.push([event, args]))
  await engine.open()
  t.strictSame(calls.slice(0, 3), [['made', 'Queue'], ['publishEvent', { event: 'hello', jobId: '' }, 10_000], ['made', 'QueueEvents']])
  const [, events, worker] = parts
  const expected = ['completed', 'failed', 'cancel', 'heartbeat'].map((event) => [event, { jobId: event }])
  for (const [event, args] of expected) events.emit(event, args)
  worker.emit('lockRenewalFailed', ['id'])
  t.strictSame(heard, [...expected, ['lost', ['id']]])
  await engine.publish('default', 'cancel', 'id', { reason: '{}' })
  t.strictSame(calls.at(-1), ['publishEvent', { event: 'cancel', jobId: 'id', reason: '{}' }, 10_000])
})

t.test('a process that does not work has no worker', async (t) => {
  const { engine, parts } = engineOf(REDIS, { worker: false })
  await engine.open()
  engine.work()
  t.same(parts.map(({ constructor }) => constructor.name), ['Queue', 'QueueEvents'])
  t.equal(await engine.request('default', async () => 'there'), 'there')
})

t.test('the worker takes jobs from when it is told to, and the store is there', async (t) => {
  const later = engineOf(REDIS)
  await later.engine.open()
  t.notMatch(later.calls, [['run']])
  t.equal(later.calls.filter(([call]: any) => call === 'run').length, 0)
  later.engine.work()
  t.equal(later.calls.filter(([call]: any) => call === 'run').length, 1)

  const sooner = engineOf(REDIS)
  sooner.engine.work()
  t.equal(sooner.calls.length, 0)
  await sooner.engine.open()
  t.equal(sooner.calls.filter(([call]: any) => call === 'run').length, 1)
})

t.test('a worker that breaks down is a problem of the engine, and told', async (t) => {
  const { engine, behaviour, warnings } = engineOf(REDIS)
  behaviour.run = async () => { throw new Error('broken') }
  await engine.open()
  engine.work()
  await time.settle()
  t.match(warnings, [[{ err: { message: 'broken' } }, 'BullMQ reported an error']])
})

t.test('a engine that is away is tried again every half second, each time from the start', async (t) => {
  const { engine, behaviour, calls, parts, warnings } = engineOf(REDIS)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  engine.work()
  await engine.open()
  t.strictSame(calls, [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true]])
  await t.rejects(engine.request('default', async () => 'there'), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  await pass(499)
  t.equal(parts.length, 1)
  await pass(1)
  t.equal(parts.length, 2)
  await pass(500)
  t.equal(parts.length, 3)
  t.match(warnings, [[{ err: { message: 'away' } }, 'BullMQ reported an error']])
  t.equal(warnings.length, 1, 'once for the whole outage')
  behaviour.waitUntilReady = async () => {}
  await pass(500)
  t.equal(parts.length, 6)
  t.equal(await engine.request('default', async () => 'there'), 'there')
  t.equal(calls.filter(([call]: any) => call === 'run').length, 1)
  await pass(2_000)
  t.equal(parts.length, 6)
})

t.test('a engine that was never there is not tried again once the app closes', async (t) => {
  for (const leave of [(engine: Engine) => engine.drainWorkers(), (engine: Engine) => engine.close(100)]) {
    const { engine, behaviour, parts } = engineOf(REDIS)
    behaviour.waitUntilReady = async () => { throw new Error('away') }
    await engine.open()
    await leave(engine)
    await pass(2_000)
    t.equal(parts.length, 1)
  }
})

t.test('a engine that is reached when the app closes already is left at once', async (t) => {
  for (const leave of [(engine: Engine) => engine.drainWorkers(), (engine: Engine) => engine.close(100)]) {
    const { engine, behaviour, calls } = engineOf(REDIS)
    let reach = (): void => {}
    behaviour.waitUntilReady = () => new Promise<void>((resolve) => { reach = resolve })
    engine.work()
    engine.open()
    await time.settle()
    await leave(engine)
    behaviour.waitUntilReady = async () => {}
    reach()
    await pass(10)
    t.strictSame(calls.filter(([call]: any) => call === 'made').map(([, part]: any) => part), ['Queue', 'QueueEvents', 'Worker'])
    t.strictSame(calls.filter(([call]: any) => call === 'cut').map(([, part]: any) => part), ['Queue', 'QueueEvents', 'Worker'])
    t.notOk(calls.some(([call]: any) => call === 'run'))
    await t.rejects(engine.request('default', async () => 'there'), { code: 'FST_ERR_JOBS_CLOSED' })
  }
})

t.test('a boot waits five seconds for a engine that is silent', async (t) => {
  const { engine, behaviour, warnings } = engineOf(REDIS)
  behaviour.waitUntilReady = never
  let open = false
  engine.open().then(() => { open = true })
  await pass(4_999)
  t.notOk(open)
  await pass(1)
  t.ok(open)
  t.same(warnings, [])
})

for (const name of ['SchemaMigrationRequiredError', 'SchemaVersionMismatchError', 'UnsupportedPostgresVersionError']) {
  t.test(`a boot fails for good with a ${name}`, async (t) => {
    const { engine, behaviour, calls, parts, warnings } = engineOf(POSTGRES)
    behaviour.waitUntilReady = async () => { throw Object.assign(new Error('not so'), { name }) }
    await t.rejects(engine.open(), { name })
    t.strictSame(calls, [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true]])
    await pass(1_000)
    t.equal(parts.length, 1)
    t.same(warnings, [])
  })
}

t.test('what no attempt will change is told when the boot is over, and ends the attempts', async (t) => {
  const { engine, behaviour, parts, warnings } = engineOf(POSTGRES)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  await engine.open()
  const cause = Object.assign(new Error('not so'), { name: 'SchemaVersionMismatchError' })
  behaviour.waitUntilReady = async () => { throw cause }
  await pass(2_000)
  t.equal(parts.length, 2)
  t.same(warnings.map(([{ err }]) => err.message), ['away', 'not so'])
  t.equal((await engine.request('default', async () => {}).catch((error) => error)).cause, cause)
})

t.test('a problem is told once, and again after an answer', async (t) => {
  const { engine, parts, warnings } = engineOf(REDIS)
  await engine.open()
  for (const part of parts) part.emit('error', new Error('away'))
  t.match(warnings, [[{ err: { message: 'away' } }, 'BullMQ reported an error']])
  parts[0].emit('error', new Error('still away'))
  parts[0].emit('error', new Error('still away'))
  t.equal(warnings.length, 2)
  await engine.request('default', async () => 'there')
  parts[0].emit('error', new Error('still away'))
  t.equal(warnings.length, 3)
  await engine.drainWorkers()
  parts[0].emit('error', new Error('closed'))
  t.equal(warnings.length, 3)
})

async function reached (t: Test): Promise<Engine> {
  const { engine } = engineOf(REDIS)
  await t.rejects(engine.request('default', async () => t.fail('it was asked')), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  await engine.open()
  return engine
}

t.test('what the engine answers is told, and what the store cannot answer is unavailable', async (t) => {
  const engine = await reached(t)
  t.equal(await engine.request('default', async (queue) => queue.constructor.name), 'Queue')
  const gone = Object.assign(new Error('gone'), { code: -1 })
  await t.rejects(engine.request('default', async () => { throw gone }), { code: -1 })
  for (const cause of [new Error('away'), Object.assign(new Error('away'), { code: 'ECONNREFUSED' }), Object.assign(new Error('away'), { code: '08P22' })]) {
    const error = await engine.request('default', async () => { throw cause }).catch((error) => error)
    t.match(error, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
    t.equal(error.cause, cause)
  }
  const data = Object.assign(new Error('unsupported Unicode escape sequence'), { code: '22P05' })
  await t.rejects(engine.request('default', async () => { throw data }), { code: 'FST_ERR_JOB_INVALID_TEXT', message: /unsupported Unicode/, cause: data })
  t.equal(time.timers.size, 0)
})

t.test('a engine that was never reached tells why', async (t) => {
  const { engine, behaviour } = engineOf(REDIS)
  const cause = new Error('no route')
  behaviour.waitUntilReady = async () => { throw cause }
  await engine.open()
  const error = await engine.request('default', async () => {}).catch((error) => error)
  t.equal(error.code, 'FST_ERR_JOB_ENGINE_UNAVAILABLE')
  t.equal(error.cause, cause)
  await engine.close(1_000)
})

t.test('closing lets what was asked be answered, unless that takes long', async (t) => {
  for (const answered of [true, false]) {
    const { engine, calls } = engineOf(REDIS)
    await engine.open()
    calls.length = 0
    let answer = (_value: string): void => {}
    const asked = engine.request('default', () => new Promise<string>((resolve) => { answer = resolve })).catch((error) => error.code)
    engine.close(10_000)
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
  const { engine, calls, parts, behaviour } = engineOf(REDIS)
  await engine.open()
  const lost = { status: 'connecting' }
  const there = { status: 'ready' }
  Object.assign(parts[0].backend, { client: Promise.resolve(there) })
  Object.assign(parts[2].backend, { client: Promise.resolve(there), blockingClient: Promise.resolve(lost) })
  let ended = (): void => {}
  behaviour.close = () => new Promise<void>((resolve) => { ended = resolve })
  calls.length = 0
  let left = false
  engine.drainWorkers().then(() => { left = true })
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
  t.equal(await engine.request('default', async () => 'there'), 'there', 'the store is still asked')
})

t.test('who leaves before the store was reached waits for nothing', async (t) => {
  const { engine, parts, behaviour } = engineOf(REDIS)
  behaviour.waitUntilReady = never
  const opening = engine.open()
  Object.assign(parts[0].backend, { client: Promise.resolve({ status: 'reconnecting' }) })
  const since = time.now
  await engine.drainWorkers()
  t.equal(time.now, since)
  await pass(5_000)
  await opening
})

t.test('closing closes every part, and then cuts it off', async (t) => {
  const { engine, calls } = engineOf(REDIS)
  await engine.open()
  engine.events.on('completed', () => {})
  calls.length = 0
  await engine.close(1_000)
  const names = ['Queue', 'QueueEvents', 'Worker']
  t.strictSame(calls, [...names.map((name) => ['close', name]), ...names.map((name) => ['cut', name, true])])
  t.same(engine.events.eventNames(), [])
  await t.rejects(engine.request('default', async () => 'there'), { code: 'FST_ERR_JOBS_CLOSED' })
  await engine.close(1_000)
  t.equal(calls.length, 6, 'once')
})

t.test('what does not close is cut off soon, and what goes wrong then is of no interest', async (t) => {
  const { engine, behaviour, calls, warnings } = engineOf(REDIS)
  await engine.open()
  behaviour.close = never
  behaviour.cut = async () => { throw new Error('cut') }
  calls.length = 0
  let closed = false
  engine.close(10_000).then(() => { closed = true })
  await pass(833)
  t.equal(calls.length, 3)
  await pass(2)
  t.equal(calls.length, 6)
  t.ok(closed)
  behaviour.close = async () => { throw new Error('close') }
  t.same(warnings, [])
})

t.test('a close that fails is a problem of the engine, and the part is cut off', async (t) => {
  const { engine, behaviour, calls, warnings } = engineOf(REDIS)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  behaviour.close = async () => { throw new Error('not closed') }
  behaviour.cut = async () => { throw new Error('not cut') }
  await engine.open()
  await time.settle()
  t.strictSame(calls.slice(0, 3), [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true]])
  t.same(warnings.map(([{ err }]) => err.message), ['not closed', 'not cut', 'away'])
  await engine.close(10)
})

t.test('a connection to Redis that the engine has let go of is cut off, unless it was never there or is the user\'s', async (t) => {
  const clients: EventEmitter[] = []
  const clientOf = (name: string, status = 'ready') => {
    const client = Object.assign(new EventEmitter(), { status, disconnect: () => { cut.push(name) } })
    clients.push(client)
    return Promise.resolve(client)
  }
  const cut: string[] = []
  const { engine, parts, behaviour } = engineOf(REDIS)
  await engine.open()
  Object.assign(parts[0].backend, { client: clientOf('queue') })
  Object.assign(parts[1].backend, { client: Promise.reject(new Error('away')) })
  Object.assign(parts[2].backend, { client: clientOf('worker'), blockingClient: clientOf('blocking') })
  behaviour.close = async () => { throw new Error('not writable') }
  // Closing has begun: the engine goes on waiting until the connection ends.
  behaviour.cut = async () => { while (cut.length < 3) await new Promise((resolve) => nextTurn(resolve)) }
  await engine.close(1_000)
  t.strictSame(cut, ['queue', 'worker', 'blocking'])
  clients[0].emit('connecting')
  t.strictSame(cut.splice(3), ['queue'], 'it stays cut off')

  const ended = engineOf(REDIS)
  await ended.engine.open()
  Object.assign(ended.parts[0].backend, { client: clientOf('ended', 'end') })
  await ended.engine.close(1_000)
  t.equal(cut.length, 3)
  clients.at(-1)!.emit('connecting')
  t.strictSame(cut.splice(3), ['ended'], 'nor is it taken up again')

  const absent = engineOf(REDIS)
  await absent.engine.open()
  Object.assign(absent.parts[0].backend, { client: never() })
  await absent.engine.close(1_000)

  for (const options of [{ connection: { duplicate () {} } }, POSTGRES]) {
    const other = engineOf(options)
    await other.engine.open()
    Object.assign(other.parts[0].backend, { client: clientOf('not ours') })
    await other.engine.close(1_000)
  }
  t.equal(cut.length, 3)
})

t.test('closing is over after its timeout, whatever the store does', async (t) => {
  const { engine, behaviour } = engineOf(REDIS)
  await engine.open()
  behaviour.cut = never
  let closed = false
  engine.close(100).then(() => { closed = true })
  await pass(99)
  t.notOk(closed)
  await pass(1)
  t.ok(closed)
})

t.test('a engine that says nothing for five seconds is unavailable, and not before', async (t) => {
  const engine = await reached(t)
  let failure: any
  engine.request('default', never).catch((error) => { failure = error })
  await pass(4_999)
  t.equal(failure, undefined)
  await pass(1)
  t.match(failure, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { message: 'No answer for 5000 ms' } })
  t.equal(time.timers.size, 0)
})

t.test('a engine that answers one of many questions is not silent', async (t) => {
  const engine = await reached(t)
  let failure: any
  engine.request('default', never).catch((error) => { failure = error })
  await pass(3_000)
  await engine.request('default', async () => 'there')
  await pass(4_999)
  t.equal(failure, undefined)
  await pass(1)
  t.match(failure, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})

t.test('an answer that waited while the event loop was blocked is an answer', async (t) => {
  const engine = await reached(t)
  const faked = globalThis.setImmediate
  // What the socket has received is read between the timers and the immediates.
  globalThis.setImmediate = nextTurn
  t.teardown(() => { globalThis.setImmediate = faked })
  let answer = (_value: string): void => {}
  const asked = engine.request('default', () => new Promise<string>((resolve) => { answer = resolve }))
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
  const { engine, behaviour } = engineOf(REDIS)
  await engine.open()
  t.equal(timers(), before, 'reached')
  behaviour.close = async () => { t.equal(timers(), before, 'closing') }
  const asked = engine.request('default', async () => 'there')
  await engine.close(10_000)
  t.equal(await asked, 'there')
  t.equal(timers(), before, 'closed')
})
