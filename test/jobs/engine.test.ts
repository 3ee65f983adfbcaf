import { EventEmitter } from 'node:events'
import { isPgPool } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { checkPluginOptions } from '../../lib/jobs/options'
import { Engine } from '../../lib/jobs/engine'
import * as errors from '../../lib/shared/errors'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)
const pass = (ms: number): Promise<void> => time.pass(ms, () => {})

const never = (): Promise<never> => new Promise(() => {})

interface Behaviour {
  waitUntilReady: () => Promise<unknown>
  close: () => Promise<unknown>
  cut: (force: boolean) => Promise<unknown>
  run: () => Promise<unknown>
  disconnectBlocking: () => Promise<unknown>
}

/** An engine on a BullMQ and a connection that only note what they are told, and do as they are told here. */
function engineOf (options: object, { worker = true } = {}) {
  const warnings: any[] = []
  const calls: unknown[] = []
  const parts: any[] = []
  const behaviour: Behaviour = { waitUntilReady: async () => {}, close: async () => {}, cut: async () => {}, run: async () => {}, disconnectBlocking: async () => {} }
  class Part extends EventEmitter {
    readonly made: unknown[]
    readonly backend = {
      publishEvent: async (...args: unknown[]) => { calls.push(['publishEvent', ...args]); return 'event-1' },
      disconnectBlocking: async () => { calls.push(['disconnectBlocking']); await behaviour.disconnectBlocking() },
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
  const connection = {
    isPostgres: false,
    options: { connection: 'shared' },
    backend: undefined as unknown,
    heardAt: 0,
    outage: undefined as Error | undefined,
    opened: [] as unknown[],
    adopted: [] as unknown[],
    closed: 0,
    open: async (...counts: number[]) => { connection.opened.push(counts) },
    adopt: async (backend: unknown) => { connection.adopted.push(backend) },
    reconnectsStopped: async () => {},
    close: async () => { connection.closed++ }
  }
  return { engine: Object.assign(engine, { bullmq, connection }) as Engine, bullmq, connection, behaviour, calls, parts, warnings, processor }
}

const REDIS = { connection: { port: 1 } }
const POSTGRES = { connection: 'postgres://127.0.0.1/x' }

t.test('BullMQ is given the shared connection and the options of the plugin, its own name for each queue', async (t) => {
  const { engine, parts, connection } = engineOf({
    ...REDIS,
    queue: 'q',
    queues: { default: 3, media: { concurrency: 2, limiter: { max: 1, duration: 2 } } },
    lockDuration: 5_000,
    maxStalledCount: 2,
    removeOnComplete: 7,
    removeOnFail: true
  })
  await engine.open(['mail'])
  t.strictSame(engine.queues, ['default', 'media', 'mail'])
  t.strictSame(connection.opened, [[3, 2]], 'three queues, of which two are worked')
  const made = (type: string): any[] => parts.filter(({ constructor }) => constructor.name === type).map(({ made }) => made)
  t.match(made('Queue'), ['q', 'q-media', 'q-mail'].map((name) => [name, {
    connection: 'shared', defaultJobOptions: { removeOnComplete: 7, removeOnFail: true }
  }, undefined]))
  t.match(made('QueueEvents'), ['q', 'q-media', 'q-mail'].map((name) => [name, { connection: 'shared', lastEventId: 'event-1' }, undefined]))
  const common = { connection: 'shared', lockDuration: 5_000, stalledInterval: 1_000, maxStalledCount: 2, runRetryDelay: 1_000, autorun: false }
  t.match(made('Worker'), [
    ['q', Function, { ...common, concurrency: 3 }, undefined],
    ['q-media', Function, { ...common, concurrency: 2, limiter: { max: 1, duration: 2 } }, undefined]
  ])
  t.equal(connection.adopted.length, parts.length)
  for (const [options] of [made('Queue')[0].slice(1), made('QueueEvents')[0].slice(1), made('Worker')[0].slice(2)]) {
    for (const absent of ['prefix', 'telemetry', 'limiter', 'blockingTimeout', 'drainDelay']) t.notOk(absent in options, absent)
  }
})

t.test('a process without a worker works no queue, and one without queues has the default one', async (t) => {
  const { engine, parts } = engineOf({ ...REDIS, queues: { media: 1 } }, { worker: false })
  await engine.open()
  t.strictSame(engine.queues, ['media'])
  t.notOk(parts.some(({ constructor }) => constructor.name === 'Worker'))
  const none = engineOf({ ...REDIS, queues: {} })
  await none.engine.open()
  t.strictSame(none.engine.queues, ['default'])
  t.strictSame(none.parts.map(({ constructor }) => constructor.name), ['Queue', 'QueueEvents'])
  await t.rejects(none.engine.request('media', async () => {}), { code: 'FST_ERR_JOB_UNKNOWN_QUEUE', statusCode: 404 })
})

t.test('BullMQ gets the prefix, the telemetry and the limiter that are set', async (t) => {
  const more = { redisPrefix: 'p', telemetry: { tracer: {} }, limiter: { max: 1, duration: 2 } }
  const { engine, parts } = engineOf({ ...REDIS, ...more })
  await engine.open()
  const common = { prefix: 'p', telemetry: more.telemetry }
  t.match(parts.map(({ made }) => made), [['fastify-tasks', common], ['fastify-tasks', common], ['fastify-tasks', Function, { ...common, limiter: more.limiter }]])
  t.notOk('limiter' in parts[0].made[1])
})

t.test('PostgreSQL is looked at more often than Redis, through its own backend', async (t) => {
  const { engine, parts, connection } = engineOf(POSTGRES)
  const backend = (): void => {}
  Object.assign(connection, { isPostgres: true, backend })
  await engine.open()
  const [queue, events, worker] = parts.map(({ made }) => made)
  t.match([events[1], worker[2]], [{ blockingTimeout: 500, drainDelay: 0.3 }, { blockingTimeout: 500, drainDelay: 0.3 }])
  for (const made of [queue, events, worker]) t.equal(made.at(-1), backend)
})

t.test('events are forwarded with the name of their queue', async (t) => {
  const { engine, parts } = engineOf({ ...REDIS, queues: { default: 1, media: 1 } })
  const heard: unknown[] = []
  for (const event of ['completed', 'cancel']) engine.events.on(event, (args) => heard.push([event, args]))
  await engine.open()
  const events = parts.filter(({ constructor }) => constructor.name === 'QueueEvents')
  events[1].emit('completed', { jobId: '1' })
  events[0].emit('cancel', { jobId: '2' })
  t.strictSame(heard, [['completed', { jobId: '1', queue: 'media' }], ['cancel', { jobId: '2', queue: 'default' }]])
})

t.test("it starts listening at a marker event, and forwards BullMQ's events", async (t) => {
  const { engine, calls, parts } = engineOf(REDIS)
  const heard: unknown[] = []
  for (const event of ['completed', 'failed', 'cancel', 'heartbeat', 'lost']) engine.events.on(event, (args) => heard.push([event, args]))
  await engine.open()
  t.strictSame(calls.slice(0, 3), [['made', 'Queue'], ['publishEvent', { event: 'hello', jobId: '' }, 10_000], ['made', 'QueueEvents']])
  const [, events, worker] = parts
  const names = ['completed', 'failed', 'cancel', 'heartbeat']
  for (const event of names) events.emit(event, { jobId: event })
  worker.emit('lockRenewalFailed', ['id'])
  t.strictSame(heard, [...names.map((event) => [event, { jobId: event, queue: 'default' }]), ['lost', ['id']]])
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

t.test('a worker that fails is reported', async (t) => {
  const { engine, behaviour, warnings } = engineOf(REDIS)
  behaviour.run = async () => { throw new Error('broken') }
  await engine.open()
  engine.work()
  await time.settle()
  t.match(warnings, [[{ err: { message: 'broken' } }, 'BullMQ reported an error']])
})

t.test('an unavailable store is tried again every half second, each time from the start', async (t) => {
  const { engine, behaviour, calls, parts, warnings } = engineOf(REDIS)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  engine.work()
  await engine.open()
  await t.rejects(engine.request('default', async () => 'there'), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  for (let i = 0; i < 4; i++) {
    await time.settle()
    await pass(500)
  }
  const attempts = parts.length
  t.ok(attempts >= 3 && attempts <= 5, `${attempts} attempts in two seconds`)
  t.strictSame(calls.slice(0, 4), [['made', 'Queue'], ['close', 'Queue'], ['cut', 'Queue', true], ['made', 'Queue']])
  t.match(warnings, [[{ err: { message: 'away' } }, 'BullMQ reported an error']])
  t.equal(warnings.length, 1, 'once for the whole outage')
  behaviour.waitUntilReady = async () => {}
  await time.settle()
  await pass(500)
  await time.settle()
  t.equal(parts.length, attempts + 3)
  t.equal(await engine.request('default', async () => 'there'), 'there')
  t.equal(calls.filter(([call]: any) => call === 'run').length, 1)
  await pass(2_000)
  t.equal(parts.length, attempts + 3)
})

t.test('a store that was never reached is not tried again once the app closes', async (t) => {
  for (const leave of [(engine: Engine) => engine.stopTaking(), (engine: Engine) => engine.close(100)]) {
    const { engine, behaviour, parts } = engineOf(REDIS)
    behaviour.waitUntilReady = async () => { throw new Error('away') }
    await engine.open()
    await leave(engine)
    await pass(2_000)
    t.equal(parts.length, 1)
  }
})

t.test('a store that is reached while the app closes is left at once', async (t) => {
  for (const leave of [(engine: Engine) => engine.stopTaking(), (engine: Engine) => engine.close(100)]) {
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

t.test('a boot waits five seconds for a store that does not respond', async (t) => {
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

t.test('a boot fails for good when the store cannot be used as it is set up', async (t) => {
  const { engine, calls, parts, connection, warnings } = engineOf(POSTGRES)
  let attempts = 0
  connection.open = async () => { attempts++; throw new errors.FST_ERR_JOB_INVALID_STORE('not so') }
  await t.rejects(engine.open(), { code: 'FST_ERR_JOB_INVALID_STORE', message: /not so/ })
  t.strictSame(calls, [])
  await pass(1_000)
  t.equal(parts.length, 0)
  t.equal(attempts, 1)
  t.same(warnings, [])
})

t.test('a permanent error after the boot is logged, and ends the attempts', async (t) => {
  const { engine, behaviour, parts, connection, warnings } = engineOf(POSTGRES)
  behaviour.waitUntilReady = async () => { throw new Error('away') }
  await engine.open()
  const cause = new errors.FST_ERR_JOB_INVALID_STORE('not so')
  connection.open = async () => { throw cause }
  await pass(2_000)
  t.equal(parts.length, 1)
  t.match(warnings.map(([{ err }]) => err.message), ['away', /not so/])
  t.equal((await engine.request('default', async () => {}).catch((error) => error)).cause, cause)
})

t.test('a problem is logged once, and again after an answer', async (t) => {
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
  await engine.stopTaking()
  parts[0].emit('error', new Error('closed'))
  t.equal(warnings.length, 3)
})

t.test('a problem with an address in it is told once too', async (t) => {
  const { engine, parts, warnings } = engineOf(REDIS)
  await engine.open()
  for (let i = 0; i < 2; i++) parts[0].emit('error', new Error('refused by redis://user:secret@host'))
  t.match(warnings, [[{ err: { message: 'refused by redis://[redacted]' } }, 'BullMQ reported an error']])
  t.equal(warnings.length, 1)
})

async function reached (): Promise<Engine> {
  const { engine } = engineOf(REDIS)
  await engine.open()
  // That of the boot, which holds nothing up.
  time.timers.clear()
  return engine
}

t.test('answers of BullMQ are passed on, and errors of the store become FST_ERR_JOB_ENGINE_UNAVAILABLE', async (t) => {
  const engine = await reached()
  t.equal(await engine.request('default', async (queue) => queue.constructor.name), 'Queue')
  const gone = Object.assign(new Error('gone'), { code: -1 })
  await t.rejects(engine.request('default', async () => { throw gone }), { code: -1 })
  for (const cause of [new Error('away'), Object.assign(new Error('away'), { code: 'ECONNREFUSED' }), Object.assign(new Error('away'), { code: '08P22' })]) {
    const error = await engine.request('default', async () => { throw cause }).catch((error) => error)
    t.match(error, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
    t.match(error.cause, { message: cause.message, code: (cause as { code?: string }).code })
  }
  const data = Object.assign(new Error('unsupported Unicode escape sequence'), { code: '22P05' })
  await t.rejects(engine.request('default', async () => { throw data }), { code: 'FST_ERR_JOB_INVALID_TEXT', message: /unsupported Unicode/, cause: { code: '22P05' } })
  t.equal(time.timers.size, 0)
})

t.test('the error of a store that was never reached says why', async (t) => {
  const { engine, behaviour } = engineOf(REDIS)
  const cause = new Error('no route')
  behaviour.waitUntilReady = async () => { throw cause }
  await engine.open()
  const error = await engine.request('default', async () => {}).catch((error) => error)
  t.equal(error.code, 'FST_ERR_JOB_ENGINE_UNAVAILABLE')
  t.equal(error.cause.message, 'no route')
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

t.test('draining waits for running jobs, and not for a lost connection', async (t) => {
  const { engine, calls, connection, behaviour } = engineOf(REDIS)
  await engine.open()
  let stopped = (): void => {}
  connection.reconnectsStopped = () => new Promise<void>((resolve) => { stopped = resolve })
  let ended = (): void => {}
  behaviour.close = () => new Promise<void>((resolve) => { ended = resolve })
  let disconnected = (_error: Error): void => {}
  behaviour.disconnectBlocking = () => new Promise((_resolve, reject) => { disconnected = reject })
  calls.length = 0
  const steps: string[] = []
  engine.stopTaking().then(async ({ drained }) => {
    steps.push('waits for no job')
    await drained
    steps.push('drained')
  })
  await pass(100)
  t.strictSame(calls, [])
  stopped()
  await time.settle()
  // Not before: it would be connected again.
  t.strictSame(calls, [['close', 'Worker'], ['disconnectBlocking']])
  t.strictSame(steps, [])
  disconnected(new Error('lost'))
  await time.settle()
  t.strictSame(steps, ['waits for no job'])
  ended()
  await time.settle()
  t.strictSame(steps, ['waits for no job', 'drained'])
  t.equal(await engine.request('default', async () => 'there'), 'there', 'the store is still asked')
})

t.test('draining before the store was reached waits for nothing', async (t) => {
  const { engine, connection, behaviour } = engineOf(REDIS)
  behaviour.waitUntilReady = never
  const opening = engine.open()
  connection.reconnectsStopped = never
  const since = time.now
  await engine.stopTaking()
  t.equal(time.now, since)
  await pass(5_000)
  await opening
  t.equal(engine.isClosing, true)
})

t.test('closing closes every part, and then disconnects it', async (t) => {
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

t.test('a part that does not close is disconnected and its errors are ignored', async (t) => {
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

t.test('a close that fails is reported, and the part is disconnected', async (t) => {
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

t.test('a store that sends nothing for five seconds is unavailable, and not before', async (t) => {
  const engine = await reached()
  let failure: any
  engine.request('default', never).catch((error) => { failure = error })
  await pass(4_999)
  t.equal(failure, undefined)
  await pass(1)
  t.match(failure, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { message: 'No answer for 5000 ms' } })
  t.equal(time.timers.size, 0)
})

t.test('a store that answers one of many requests is not silent', async (t) => {
  const engine = await reached()
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
  const engine = await reached()
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
