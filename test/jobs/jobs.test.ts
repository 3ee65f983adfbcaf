import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fastifyTasks, { errors } from '../../index'
import fastifyJobs from '../../lib/jobs'
import tasksRoutes from '../../lib/control/routes'
import { nextTask, untilAborted } from '../fixtures/app'
import { jobsApp, newQueue, type JobsApp } from '../fixtures/jobs-app'
import { sharedPostgres } from '../fixtures/postgres'
import { freePort } from '../fixtures/redis'

t.setTimeout(170_000)

const server = sharedPostgres()
t.teardown(async () => (await server).close())

/** An app on the server of this file. */
async function build (t: Test, { options, ...more }: Parameters<typeof jobsApp>[2] = {}): Promise<JobsApp> {
  return await jobsApp(t, (await server).url, { options: { cancelTimeout: 400, ...options }, ...more })
}

async function becomes (app: FastifyInstance, name: string, state: string): Promise<void> {
  while ((await app.getJob(name))?.state !== state) await sleep(20)
}

t.test('a handler runs as a task of the instance that defined it', async (t) => {
  const app = await build(t, {
    define: (app) => app.register(async (child) => {
      child.decorate('only', 'here')
      child.defineJob('kind', async function (app, task, data, job) {
        t.equal(this, app)
        t.equal((app as unknown as { only: string }).only, 'here')
        t.equal(app.getTask(task.name), task)
        t.match(task.name, /^job:a job#/)
        t.same(job, { name: 'a job', kind: 'kind', attempts: 1 })
        task.updateProgress(1)
        task.updateProgress({ done: 2 })
        return { data }
      })
    })
  })
  const job = await app.addJob('kind', { n: 1 }, { name: 'a job', ttl: 60_000 })
  t.match(job, { name: 'a job', kind: 'kind', state: 'pending', attempts: 0, result: undefined, startedAt: undefined, endedAt: undefined })
  t.notOk('then' in job)
  t.same(await job.wait(), { data: { n: 1 } })
  const ended = (await app.getJob('a job'))!
  t.match(ended, { state: 'completed', result: { data: { n: 1 } }, progress: { done: 2 }, attempts: 1 })
  t.same(await ended.wait(), { data: { n: 1 } })
  t.equal(await ended.heartbeat(), false)
  t.match(JSON.parse(JSON.stringify(ended)), { name: 'a job', kind: 'kind', state: 'completed', lease: undefined, result: undefined })
  t.equal(await app.purgeJobs(), 1)
  t.equal(await app.getJob('a job'), undefined)
})

t.test('a job without a name or data gets a name, and null', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('kind', async (_app, _task, data) => data) })
  const job = await app.addJob('kind', undefined)
  t.match(job.name, /^job-/)
  t.equal(await job.wait(), null)
})

t.test('a wrong call throws a coded error, and nothing is stored', async (t) => {
  const app = await build(t, {
    define: (app) => {
      app.defineJob('kind', async () => {}, { schema: { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } } })
      t.throws(() => app.defineJob('kind', async () => {}), { code: 'FST_ERR_JOB_KIND_ALREADY_DEFINED' })
      t.throws(() => app.defineJob('', async () => {}), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
      t.throws(() => app.defineJob('other', 'no function' as never), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
      t.throws(() => app.defineJob('other', async () => {}, null as never), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
      t.throws(() => app.defineJob('other', async () => {}, { timeout: 0 }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /timeout/ })
      t.throws(() => app.defineJob('other', async () => {}, { retries: 3 } as never), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /retries/ })
      return t.rejects(app.addJob('kind', { id: 1 }), { code: 'FST_ERR_JOBS_NOT_READY' })
    }
  })
  t.throws(() => app.defineJob('late', async () => {}), { code: 'FST_ERR_JOB_DEFINED_TOO_LATE' })
  await t.rejects(app.addJob('unknown', {}), { code: 'FST_ERR_JOB_UNKNOWN_KIND', statusCode: 400 })
  await t.rejects(app.addJob(undefined as unknown as string, {}), { code: 'FST_ERR_JOB_UNKNOWN_KIND' })
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  for (const data of [cycle, { id: 1n }, { id: NaN }, { id: 1, f () {} }, Symbol('no'), () => {}]) {
    await t.rejects(app.addJob('kind', data), { code: 'FST_ERR_JOB_INVALID_DATA', statusCode: 400 })
  }
  await t.rejects(app.addJob('kind', {}), { code: 'FST_ERR_JOB_INVALID_DATA', message: /id/ })
  for (const [option, value] of Object.entries({
    name: '', ttl: 0, delay: -1, priority: 1.5, attempts: 0, backoff: '1', lifo: 1, removeOnComplete: 'no', jobId: 'mine', telemetry: 1, timestamp: 0
  })) {
    await t.rejects(app.addJob('kind', { id: 1 }, { [option]: value }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: new RegExp(option) })
  }
  await t.rejects(app.addJob('kind', { id: 1 }, { name: 5 } as never), { code: 'FST_ERR_JOB_INVALID_OPTION' })
  await t.rejects(app.addJob('kind', { id: 1 }, null as never), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
  for (const verb of ['getJob', 'cancelJob', 'heartbeatJob'] as const) {
    await t.rejects(async () => { await app[verb]('') }, { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
    await t.rejects(async () => { await app[verb](7 as never) }, { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
  }
  t.equal(await app.cancelJob('nobody'), false)
  t.equal(await app.heartbeatJob('nobody'), false)
  t.equal(await app.purgeJobs(), 0)
  for await (const job of app.jobs()) t.fail(`${job.name} was stored`)
  await app.close()
  await t.rejects(app.addJob('kind', { id: 1 }), { code: 'FST_ERR_JOBS_CLOSED', statusCode: 503 })
})

t.test('options of the plugin are checked at registration', async (t) => {
  for (const [option, value] of Object.entries({
    connection: 'http://nowhere', queue: 'a:b', redisPrefix: '', worker: 'yes', concurrency: 0, lockDuration: 0, closeTimeout: -1, removeOnFail: 'x', queues: { default: 0 }
  })) {
    const app = Fastify()
    await app.register(fastifyTasks)
    await t.rejects(async () => app.register(fastifyJobs, { connection: {}, [option]: value }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: new RegExp(option) })
  }
  const app = Fastify()
  await app.register(fastifyTasks)
  await t.rejects(async () => app.register(fastifyJobs, {} as never), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /connection/ })
  await t.rejects(async () => { await Fastify().register(fastifyJobs, { connection: {} }).ready() }, { message: /fastify-tasks/ })
})

t.test('data is checked by the validator that the app has set, or by one with its shared schemas', async (t) => {
  const own = await build(t, {
    define: (app) => {
      app.setValidatorCompiler(() => (data: unknown) => data === 'good' ? { value: data } : { error: new Error('not good') })
      app.defineJob('kind', async () => 'ran', { schema: {} })
    }
  })
  t.equal(await (await own.addJob('kind', 'good')).wait(), 'ran')
  await t.rejects(own.addJob('kind', 'bad'), { code: 'FST_ERR_JOB_INVALID_DATA', message: /not good/ })

  const shared = await build(t, {
    define: (app) => {
      app.addSchema({ $id: 'id', type: 'integer' })
      app.defineJob('kind', async (_app, _task, data) => data, { schema: { type: 'object', properties: { id: { $ref: 'id#' }, size: { default: 3 } } } })
    }
  })
  t.same(await (await shared.addJob('kind', { id: '5' })).wait(), { id: 5, size: 3 })
  await t.rejects(shared.addJob('kind', { id: 'five' }), { code: 'FST_ERR_JOB_INVALID_DATA' })
})

t.test('a failure keeps its message and code, and is tried again as defined', async (t) => {
  const thrown: unknown[] = [Object.assign(new TypeError('wrong: [X]: y'), { code: 'E_X' }), 'a string', null, { get message () { throw new Error('never') } }]
  const app = await build(t, {
    define: (app) => {
      app.defineJob('fails', async (_app, _task, index: number) => { throw thrown[index] }, { attempts: 2, backoff: 1 })
      app.defineJob('final', async () => { throw Object.assign(new Error('no more'), { name: 'UnrecoverableError' }) }, { attempts: 3 })
      app.defineJob('recovers', async (_app, _task, _data, { attempts }) => {
        if (attempts < 3) throw new Error('not yet')
        return attempts
      }, { attempts: 3 })
      app.defineJob('not JSON', async () => 1n)
    }
  })
  const outcome = async (kind: string, data?: unknown): Promise<any> => (await app.addJob(kind, data, { name: `${kind}-${String(data)}` })).wait().catch((error) => error)
  t.match(await outcome('fails', 0), { code: 'E_X', message: 'wrong: [X]: y' })
  t.ok(await outcome('fails', 0) instanceof errors.FST_ERR_JOB_FAILED)
  t.match(await outcome('fails', 1), { code: 'FST_ERR_JOB_FAILED', message: 'a string' })
  t.match(await outcome('fails', 2), { code: 'FST_ERR_JOB_FAILED', message: 'null' })
  t.match(await outcome('fails', 3), { code: 'FST_ERR_JOB_FAILED', message: 'An error that cannot be described' })
  t.match(await app.getJob('fails-0'), { state: 'failed', attempts: 2 })
  t.match(await outcome('final'), { message: 'no more' })
  t.match(await app.getJob('final-undefined'), { state: 'failed', attempts: 1 })
  t.equal(await outcome('recovers'), 3)
  t.match(await outcome('not JSON'), { code: 'FST_ERR_JOB_FAILED', message: /BigInt/ })
  const failed = (await app.getJob('final-undefined'))!
  await t.rejects(failed.wait(), { message: 'no more' })
})

t.test('of several jobs that had a name one after the other the latest is found', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('kind', async (_app, _task, data) => { if (data === 'fail') throw new Error('no') }) })
  for (const [data, state] of [['pass', 'completed'], ['fail', 'failed'], ['pass', 'completed']]) {
    await (await app.addJob('kind', data, { name: 'again' })).wait().catch(() => {})
    t.match(await app.getJob('again'), { state })
  }
})

t.test('a failure and a cancel can be distinguished without a record', async (t) => {
  const app = await build(t, {
    define: (app) => {
      app.defineJob('fail', async () => { throw new Error('no') }, { removeOnFail: true })
      app.defineJob('long', untilAborted, { removeOnFail: true })
    }
  })
  await t.rejects((await app.addJob('fail', {})).wait(), { code: 'FST_ERR_JOB_FAILED', message: 'no' })
  const job = await app.addJob('long', {}, { name: 'long' })
  await becomes(app, 'long', 'running')
  const ended = t.rejects(job.wait(), { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'long' was cancelled" })
  t.equal(await app.cancelJob('long'), true)
  await ended
})

t.test('text that the store cannot store is refused, and replaced in errors and reasons', async (t) => {
  const app = await build(t, {
    define: (app) => {
      app.defineJob('fail', async () => { throw new Error('nul \0, half \ud800') })
      app.defineJob('long', untilAborted)
    }
  })
  for (const bad of ['nul \0', 'half \ud800']) {
    await t.rejects(app.addJob('fail', { bad }), { code: 'FST_ERR_JOB_INVALID_TEXT', statusCode: 400 })
    await t.rejects(app.addJob('fail', {}, { name: bad }), { code: 'FST_ERR_JOB_INVALID_TEXT' })
    t.equal(await app.getJob({ id: bad }), undefined)
  }
  for await (const job of app.jobs()) t.fail(`${job.name} was stored`)
  await t.rejects((await app.addJob('fail', {})).wait(), { code: 'FST_ERR_JOB_FAILED', message: 'nul \uFFFD, half \uFFFD' })
  const job = await app.addJob('long', {}, { name: 'long' })
  await becomes(app, 'long', 'running')
  const ended = t.rejects(job.wait(), { code: 'FST_ERR_JOB_CANCELLED', cause: 'nul \uFFFD' })
  t.equal(await app.cancelJob('long', 'nul \0'), true)
  await ended
})

t.test('a name of 1,000 characters of three bytes each works for a job and for a schedule', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('echo', async (_app, _task, data) => data) })
  // Any but a random one PostgreSQL would compress.
  const name = Array.from({ length: 1_000 }, () => String.fromCharCode(0x4e00 + randomInt(20_000))).join('')
  await app.pauseJobs()
  const job = await app.addJob('echo', 1, { name })
  await t.rejects(app.addJob('echo', 2, { name }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
  t.equal((await app.getJob(name))?.id, job.id)
  t.equal(await app.cancelJob(name), true)
  const next = await app.addJob('echo', 3, { name })
  await app.resumeJobs()
  t.equal(await next.wait(), 3)
  t.match(await app.getJob(name), { id: next.id, state: 'completed' })
  t.match(await app.scheduleJob(name, { kind: 'echo', every: 100 }), { name })
  while ((await app.getJob(name))?.id === next.id) await sleep(20)
  t.match(await app.schedules(), [{ name, kind: 'echo' }])
  t.equal(await app.unscheduleJob(name), true)
  for (const bad of ['nul \0', 'half \ud800']) t.equal(await app.getJob(bad), undefined)
})

t.test('what a job logs is kept whole and in order when it has ended', async (t) => {
  const app = await jobsApp(t, (await server).url, {
    define: (app) => app.defineJob('logs', async (_app, task) => { for (let i = 0; i < 50; i++) task.log.info('%d', i) })
  })
  const job = await app.addJob('logs', null, { keepLogs: 100 })
  await job.wait()
  const { logs } = await app.jobQueue().getJobLogs(job.id)
  t.same(logs, Array.from({ length: 50 }, (_, i) => `info: ${i}`))
})

t.test('an attempt that takes longer than its timeout has failed', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('slow', untilAborted, { timeout: 30 }) })
  await t.rejects((await app.addJob('slow', {})).wait(), { code: 'FST_ERR_JOB_TIMEOUT' })
})

t.test('the reason of a cancel reaches the handler and whoever waits', async (t) => {
  const seen: unknown[] = []
  const app = await build(t, {
    define: (app) => app.defineJob('long', async (app, task) => {
      try {
        await untilAborted(app, task)
      } finally {
        seen.push(task.signal.reason)
      }
    })
  })
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const reason of ['text', { why: 'object' }, Object.assign(new RangeError('too much'), { code: 'E_MUCH' }), new Error('plain'), circular, undefined]) {
    const started = nextTask(app)
    const job = await app.addJob('long', {}, { name: 'long' })
    await started
    const waiting = job.wait().catch((error) => error)
    t.equal(await app.cancelJob('long', reason), true)
    t.match(await waiting, { code: 'FST_ERR_JOB_CANCELLED', name: 'AbortError' })
  }
  t.match(seen, ['text', { why: 'object' }, { name: 'RangeError', message: 'too much', code: 'E_MUCH' }, { message: 'plain' }, '[object Object]', { name: 'AbortError' }])
})

t.test('every process is told of a job that is cancelled while it waits', async (t) => {
  const options = { queue: newQueue(), worker: false }
  const define = (app: FastifyInstance): void => app.defineJob('kind', async () => {})
  const [app, other] = [await build(t, { options, define }), await build(t, { options, define })]
  const ended = once(other.jobEvents, 'end')
  await app.addJob('kind', {}, { name: 'waits' })
  const waiting = (await other.getJob('waits'))!.wait().catch((error) => error)
  t.equal(await app.cancelJob('waits', 'why'), true)
  t.match(await waiting, { code: 'FST_ERR_JOB_CANCELLED', cause: 'why' })
  t.match(await ended, [{ name: 'waits', state: 'cancelled' }])
})

t.test('a task that is cancelled where it runs cancels its job', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('long', untilAborted) })
  const started = new Promise<string>((resolve) => { app.tasks.once('start', ({ name }) => resolve(name)) })
  const job = await app.addJob('long', {}, { name: 'long' })
  t.equal(await app.cancelTask(await started, 'locally'), true)
  await t.rejects(job.wait(), { code: 'FST_ERR_JOB_CANCELLED' })
  t.match(await app.getJob('long'), { state: 'cancelled' })
})

t.test('a job that ignores its cancel keeps running, and is logged', async (t) => {
  let release = (): void => {}
  const app = await build(t, {
    options: { cancelTimeout: 1_000 },
    define: (app) => app.defineJob('ignoresSignal', () => new Promise<void>((resolve) => { release = resolve }))
  })
  const started = nextTask(app)
  const job = await app.addJob('ignoresSignal', {}, { name: 'ignoresSignal' })
  await started
  await t.rejects(app.cancelJob('ignoresSignal'), { code: 'FST_ERR_JOB_CANCEL_TIMEOUT' })
  t.match(await app.getJob('ignoresSignal'), { state: 'cancelling' })
  t.equal(await job.heartbeat(), false)
  const again = Promise.all([app.cancelJob('ignoresSignal'), app.cancelJob('ignoresSignal')])
  await sleep(300)
  release()
  t.same(await again, [true, true])
})

t.test('a cancel of a job that ends by itself meanwhile finds it stopped', async (t) => {
  let release = (): void => {}
  const app = await build(t, {
    options: { cancelTimeout: 5_000 },
    define: (app) => app.defineJob('short', (_app, task) => new Promise<void>((resolve) => {
      // Too late to be stopped.
      task.cancel = () => false
      release = resolve
    }))
  })
  const started = nextTask(app)
  await app.addJob('short', {}, { name: 'short' })
  await started
  const cancelled = app.cancelJob('short')
  await becomes(app, 'short', 'cancelling')
  release()
  t.equal(await cancelled, true)
  t.match(await app.getJob('short'), { state: 'completed' })
})

t.test('a job runs beside a task of the same name', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('kind', async () => 'ran') })
  const task = app.addTask(untilAborted, { name: 'taken' })
  const job = await app.addJob('kind', {}, { name: 'taken' })
  t.equal(await job.wait(), 'ran')
  t.equal(task.state, 'running')
  t.equal(app.getTask('taken'), task)
  await app.cancelTask('taken')
  await t.rejects(Promise.resolve(task))
})

t.test('a job of an unknown kind is passed on until a process has it', async (t) => {
  const queue = newQueue()
  const define = (app: FastifyInstance): void => app.defineJob('special', async (_app, _task, _data, { attempts }) => attempts)
  const plain = await build(t, { options: { queue } })
  const adder = await build(t, { options: { queue, worker: false }, define })
  const heard: unknown[] = []
  for (const event of ['start', 'end'] as const) adder.jobEvents.on(event, ({ attempts }) => { heard.push([event, attempts]) })
  const job = await adder.addJob('special', {}, { name: 'special' })
  for (let i = 0; i < 100; i++) t.match(await plain.getJob('special'), { state: 'pending', attempts: 0 })
  await sleep(300)
  t.same(heard, [])
  await build(t, { options: { queue }, define })
  t.equal(await job.wait(), 1)
  while (heard.length < 2) await sleep(20)
  t.same(heard, [['start', 1], ['end', 1]])
})

t.test('a waiting job is listed, cancelled and gone', async (t) => {
  const app = await build(t, { options: { worker: false }, define: (app) => app.defineJob('kind', async () => {}) })
  const names = ['first', 'second', 'delayed', 'prioritized']
  const jobs = [
    await app.addJob('kind', {}, { name: 'first' }),
    await app.addJob('kind', {}, { name: 'second', ttl: 50 }),
    await app.addJob('kind', {}, { name: 'delayed', delay: 60_000 }),
    await app.addJob('kind', {}, { name: 'prioritized', priority: 5 })
  ]
  const listed = []
  for await (const job of app.jobs()) listed.push(job.name)
  t.same(listed.sort(), [...names].sort())
  t.equal(await jobs[1].heartbeat(), true)
  const waiting = jobs.map((job) => job.wait().catch((error) => error.code))
  t.same(await Promise.all(names.map((name) => app.cancelJob(name))), [true, true, true, true])
  t.same(await Promise.all(waiting), names.map(() => 'FST_ERR_JOB_CANCELLED'))
  t.equal(await jobs[1].heartbeat(), false)
  await t.rejects(jobs[0].wait(), { code: 'FST_ERR_JOB_CANCELLED', cause: undefined }, 'also later')
})

t.test('closing returns jobs to the queue, and ends every wait', async (t) => {
  const queue = newQueue()
  const app = await build(t, { options: { queue }, define: (app) => app.defineJob('long', untilAborted) })
  const other = await build(t, { options: { queue, worker: false }, define: (app) => app.defineJob('long', untilAborted) })
  const started = nextTask(app)
  const job = await app.addJob('long', {}, { name: 'long' })
  await started
  const waiting = t.rejects(job.wait(), { code: 'FST_ERR_JOBS_CLOSED' })
  await app.close()
  await waiting
  t.match(await other.getJob('long'), { state: 'pending', attempts: 1 })
})

t.test('what was asked before closing is answered, and later nothing is asked', async (t) => {
  const app = await build(t, { options: { worker: false }, define: (app) => app.defineJob('kind', async () => {}) })
  const job = await app.addJob('kind', {})
  const adding = Promise.allSettled(Array.from({ length: 40 }, () => app.addJob('kind', {})))
  await app.close()
  t.same((await adding).filter(({ status }) => status === 'rejected'), [])
  await t.rejects(job.wait(), { code: 'FST_ERR_JOBS_CLOSED' })
  await t.rejects(job.heartbeat(), { code: 'FST_ERR_JOBS_CLOSED' })
})

t.test('a kind that is defined once the app is about to be ready is late', async (t) => {
  const app = await build(t, {
    ready: false,
    define: (app) => app.addHook('onReady', async () => {
      t.throws(() => app.defineJob('late', async () => {}), { code: 'FST_ERR_JOB_DEFINED_TOO_LATE' })
    })
  })
  await app.ready()
  t.throws(() => app.defineJob('later', async () => {}), { code: 'FST_ERR_JOB_DEFINED_TOO_LATE' })
})

t.test('a request that waits for a job does not keep the app from closing', async (t) => {
  const app = await build(t, {
    options: { worker: false },
    define: (app) => {
      app.defineJob('never', async () => {})
      app.get('/', async () => (await app.addJob('never', {}, { name: 'never' })).wait())
    }
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const [response] = await Promise.all([
    once(get(address, { agent: false }), 'response').then(([response]) => json(response)),
    becomes(app, 'never', 'pending').then(() => app.close())
  ])
  t.match(response, { code: 'FST_ERR_JOBS_CLOSED' })
})

t.test('a heartbeat of a job renews the lease of the task that runs it', { timeout: 20_000 }, async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('kind', untilAborted) })
  const started = nextTask(app)
  const job = await app.addJob('kind', {}, { name: 'leased', ttl: 60_000 })
  const [task] = await started
  const remaining = (): number => task.toJSON().lease!.remaining
  await sleep(200)
  const before = remaining()
  t.equal(await job.heartbeat(), true)
  while (remaining() <= before) await sleep(5)
})

t.test('a job that does not stop delays closing no longer than allowed', async (t) => {
  const app = await build(t, { define: (app) => app.defineJob('ignoresSignal', () => sleep(5_000)) })
  const started = new Promise<void>((resolve) => { app.tasks.once('start', () => resolve()) })
  await app.addJob('ignoresSignal', {}, { name: 'ignoresSignal' })
  await started
  const start = Date.now()
  await app.close()
  t.ok(Date.now() - start < 4_000)
  t.match(app.lines.find(({ msg }) => msg.startsWith('Jobs are still running')), { jobs: ['ignoresSignal'] })
})

t.test('without a store, booting and closing go on and adding fails at once', async (t) => {
  for (const connection of [{ host: '127.0.0.1', port: await freePort() }, `postgres://127.0.0.1:${await freePort()}/none`, `redis://127.0.0.1:${await freePort()}`]) {
    const app = await build(t, { options: { connection }, define: (app) => app.defineJob('kind', async () => {}) })
    const start = Date.now()
    await t.rejects(app.addJob('kind', {}), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', statusCode: 503 })
    t.ok(Date.now() - start < 500)
    await sleep(600)
    await app.close()
    t.ok(Date.now() - start < 5_000)
    t.equal(app.lines.length, 1, 'one warning for the whole outage')
  }
})

t.test('a store that stops responding counts as unavailable', async (t) => {
  const { url } = await server
  const { port, hostname } = new URL(url)
  let silent = false
  const proxy = createServer((client) => {
    const upstream = require('node:net').connect(Number(port), hostname)
    client.on('data', (chunk) => { if (!silent) upstream.write(chunk) })
    upstream.on('data', (chunk: Buffer) => { if (!silent) client.write(chunk) })
    for (const [one, other] of [[client, upstream], [upstream, client]]) one.on('error', () => {}).on('close', () => other.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const connection = url.replace(`:${port}/`, `:${(proxy.address() as { port: number }).port}/`)
  const app = await build(t, { options: { connection, worker: false }, define: (app) => app.defineJob('kind', async () => {}) })
  const worker = await build(t, { options: { connection } })
  await app.addJob('kind', {})
  silent = true
  // Before it has noticed by itself.
  await worker.close()
  t.ok(worker.lines.some(({ msg }) => msg.startsWith('The job store did not respond')))
  await t.rejects(app.addJob('kind', {}), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { message: /No answer|timeout expired/ } })
  silent = false
  await app.close()
})

t.test('routes serve jobs', async (t) => {
  const app = await build(t, {
    define: async (app) => {
      app.defineJob('thumbnail', untilAborted, { schema: { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } } })
      app.defineJob('quick', async () => 'secret')
      await app.register(tasksRoutes, { prefix: '/jobs', serve: 'jobs', onRequest: [] })
      await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
    }
  })
  const [jobs, tasks] = await Promise.all(['/jobs', '/tasks'].map(async (url) => (await app.inject(`${url}?summary=true`)).json()))
  t.equal(jobs.summary.process.id, tasks.summary.process.id, 'of one process')
  const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object): Promise<[number, any]> => {
    const response = await app.inject({ method, url, payload })
    return [response.statusCode, response.body === '' ? undefined : response.json()]
  }
  const added = await app.inject({ method: 'POST', url: '/jobs', payload: { kind: 'thumbnail', data: { id: 4 }, name: 'thumbnail:4' } })
  t.equal(added.statusCode, 202)
  t.equal(added.headers.location, '/jobs/thumbnail%3A4')
  t.match(added.json(), { name: 'thumbnail:4', kind: 'thumbnail', state: 'pending' })
  await becomes(app, 'thumbnail:4', 'running')
  t.match(await ask('POST', '/jobs', { kind: 'thumbnail', data: { id: 4 }, name: 'thumbnail:4' }), [409, { code: 'FST_ERR_JOB_NAME_IN_USE' }])
  t.match(await ask('POST', '/jobs', { kind: 'unknown', data: {} }), [400, { code: 'FST_ERR_JOB_UNKNOWN_KIND' }])
  t.match(await ask('POST', '/jobs', { kind: 'thumbnail', data: { id: 'x' } }), [400, { code: 'FST_ERR_JOB_INVALID_DATA' }])
  t.match(await ask('POST', '/jobs', { data: {} }), [400, {}])
  t.match(await ask('GET', added.headers.location as string), [200, { state: 'running', attempts: 1 }])
  t.match(await ask('GET', '/jobs/nobody'), [404, { code: 'FST_ERR_JOB_NOT_FOUND' }])
  t.match(await ask('GET', '/jobs?state=running'), [200, { tasks: [{ name: 'thumbnail:4' }] }])
  t.same(await ask('GET', '/jobs?state=failed'), [200, { tasks: [] }])
  t.match(await ask('POST', '/jobs/thumbnail:4/heartbeat'), [409, { code: 'FST_ERR_JOB_NO_LEASE' }])
  t.match(await ask('DELETE', '/jobs/thumbnail:4'), [200, { state: 'cancelled' }])
  t.match(await ask('DELETE', '/jobs/thumbnail:4'), [409, { code: 'FST_ERR_JOB_NOT_LIVE' }])
  t.match(await ask('POST', '/jobs/thumbnail:4/heartbeat'), [409, { code: 'FST_ERR_JOB_NOT_LIVE' }])

  await app.addJob('thumbnail', { id: 5 }, { name: 'leased', ttl: 60_000 })
  t.match(await ask('POST', '/jobs/leased/heartbeat'), [204])
  await app.addJob('thumbnail', { id: 6 }, { name: 'delayed', delay: 60_000 })
  t.match(await ask('DELETE', '/jobs/delayed'), [200, { name: 'delayed', state: 'cancelled' }])
  await becomes(app, 'leased', 'running')
  t.equal(await app.cancelJob('leased'), true)

  await (await app.addJob('quick', {}, { name: 'quick' })).wait()
  t.match(await ask('GET', '/jobs?state=completed'), [200, { tasks: [{ name: 'quick' }] }])
  t.notMatch(JSON.stringify(await ask('GET', '/jobs/quick')), 'secret')
  t.match(await ask('POST', '/jobs/purge'), [200, { purged: 3 }])
})

t.test('the routes answer for a job that does not stop, for its later outcome, and without the store', async (t) => {
  let release = (): void => {}
  const app = await build(t, {
    define: async (app) => {
      app.defineJob('ignoresSignal', (_app, task) => new Promise<void>((resolve) => {
        task.cancel = () => false
        release = resolve
      }))
      await app.register(tasksRoutes, { prefix: '/jobs', serve: 'jobs', onRequest: [] })
    }
  })
  const started = nextTask(app)
  await app.addJob('ignoresSignal', {}, { name: 'ignoresSignal', ttl: 60_000 })
  await started
  const late = await app.inject({ method: 'DELETE', url: '/jobs/ignoresSignal' })
  t.equal(late.statusCode, 202)
  t.match(late.json(), { state: 'cancelling' })
  const beat = await app.inject({ method: 'POST', url: '/jobs/ignoresSignal/heartbeat' })
  t.match(beat.json(), { code: 'FST_ERR_JOB_NOT_LIVE' })
  const ended = app.inject({ method: 'DELETE', url: '/jobs/ignoresSignal' })
  await sleep(50)
  release()
  t.match((await ended).json(), { state: 'completed', endedAt: Number })

  const away = await build(t, {
    options: { connection: { port: await freePort() } },
    define: async (app) => {
      app.defineJob('kind', async () => {})
      await app.register(tasksRoutes, { prefix: '/jobs', serve: 'jobs', onRequest: [] })
    }
  })
  const response = await away.inject({ method: 'POST', url: '/jobs', payload: { kind: 'kind', data: {} } })
  t.match(response.json(), { statusCode: 503, code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
})
