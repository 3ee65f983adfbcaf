import { EventEmitter } from 'node:events'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { startPostgres } from '../../../examples/embedded-postgres'
import fastifyTasks from '../../../index'
import { Endings } from '../../../lib/jobs/endings'
import { Fleet } from '../../../lib/jobs/fleet'
import { checkPluginOptions } from '../../../lib/jobs/options'
import { Runner, type Kind } from '../../../lib/jobs/runner'
import { jobsSource } from '../../../lib/jobs/source'
import { Store } from '../../../lib/jobs/store'
import { failureOf, type Stored } from '../../../lib/jobs/wire'
import { freePort } from '../../fixtures/redis'

t.setTimeout(120_000)

// What an engine does at the worst moment, played by a stand-in for it.

const stored = (more: object = {}): Stored => ({
  id: 'id', name: 'kind', data: { name: 'a', data: {} }, attemptsStarted: 1, updateProgress: async () => {}, ...more
}) as unknown as Stored

const asking = (queue: object): Store => ({
  events: new EventEmitter(), ask: async (question: (queue: object) => unknown) => question(queue), publish: async () => {}
}) as unknown as Store

t.test('a failure of which the engine has noted nothing is a failure', async (t) => {
  t.match(failureOf(stored()), { state: 'failed', error: { message: '', code: 'FST_ERR_JOB_FAILED' } })
  t.match(failureOf(stored({ stacktrace: [], failedReason: 'stalled' })), { state: 'failed', error: { message: 'stalled' } })
})

t.test('who waits is told by the first event', async (t) => {
  const store = asking({ getJob: async () => stored() })
  const { ended } = new Endings(store).wait('id', 'a')
  store.events.emit('completed', { jobId: 'id', returnvalue: 'early' })
  store.events.emit('completed', { jobId: 'id', returnvalue: 'late' })
  t.same(await ended, { state: 'completed', result: 'early' })
})

t.test('who waits reads how the job ended when no event tells', async (t) => {
  for (const [failed, expected] of [[false, { state: 'completed', result: 7 }], [true, { state: 'failed', error: { message: 'no' } }]] as const) {
    const job = stored({ finishedOn: 1, returnvalue: 7, failedReason: 'no', isFailed: async () => failed })
    t.match(await new Endings(asking({ getJob: async () => job })).wait('id', 'a').ended, expected)
  }
})

t.test('a job that ends while it is read is shown with its outcome, or not at all when it has gone', async (t) => {
  for (const [now, expected] of [[stored({ finishedOn: 1, returnvalue: 7 }), { state: 'completed', result: 7 }], [undefined, undefined]] as const) {
    const answers = [stored(), now]
    const store = asking({ getDeduplicationJobId: async () => 'id', getJob: async () => answers.shift(), getJobState: async () => 'completed', getJobs: async () => [] })
    t.match(await new Fleet(store, new Endings(store), new Map(), 20).get('a'), expected)
  }
})

t.test('a heartbeat is for a live job that is not being cancelled', async (t) => {
  const cancelled = stored({ data: { name: 'a', data: {}, cancel: {} } })
  for (const [job, expected] of [[stored(), true], [cancelled, false], [stored({ finishedOn: 1 }), false], [undefined, false]] as const) {
    const store = asking({ getDeduplicationJobId: async () => 'id', getJob: async () => job })
    t.equal(await new Fleet(store, new Endings(store), new Map(), 20).heartbeatByName('a'), expected)
  }
})

t.test('a job that ends before it is told to stop was not cancelled', async (t) => {
  const answers = [stored()]
  const ended = stored({ finishedOn: 1, returnvalue: 7, isFailed: async () => false })
  const store = asking({ getDeduplicationJobId: async () => 'id', getJob: async () => answers.shift() ?? ended })
  t.equal(await new Fleet(store, new Endings(store), new Map(), 1_000).cancel('a'), false)
})

t.test('a job that moves on while the live are listed is listed once', async (t) => {
  const store = asking({ getJobs: async () => [stored()] })
  const jobs = []
  for await (const job of new Fleet(store, new Endings(store), new Map(), 20).list()) jobs.push(job.name)
  t.same(jobs, ['a'])
})

t.test('a cancel goes on when another has removed the job, and says what else went wrong', async (t) => {
  for (const [code, expected] of [[-1, 'FST_ERR_JOB_CANCEL_TIMEOUT'], [-7, -7]] as const) {
    const job = stored({ updateData: async () => { throw Object.assign(new Error('the engine says no'), { code }) } })
    const store = asking({ getDeduplicationJobId: async () => 'id', getJob: async () => job })
    const fleet = new Fleet(store, new Endings(store), new Map(), 20)
    await t.rejects(fleet.cancel('a'), { code: expected })
  }
})

t.test('the routes answer with what goes wrong, and with the state of a job that has gone', async (t) => {
  const job = { name: 'a', state: 'running', createdAt: 1, toJSON: () => ({ name: 'a', state: 'running' }) }
  let reads = 0
  const failing = jobsSource(() => ({ get: async () => job, cancel: async () => { throw new Error('away') } }) as unknown as Fleet)
  await t.rejects(failing.cancel('a'), { message: 'away' })
  const gone = jobsSource(() => ({ get: async () => reads++ === 0 ? job : undefined, cancel: async () => false }) as unknown as Fleet)
  await t.rejects(gone.cancel('a'), { code: 'FST_ERR_JOB_NOT_LIVE', message: /completed/ })
  const still = jobsSource(() => ({ get: async () => job, cancel: async () => false }) as unknown as Fleet)
  await t.rejects(still.cancel('a'), { code: 'FST_ERR_JOB_NOT_LIVE', message: /running/ })
})

async function runnerOf (t: Test, handler: Kind['handler']) {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(() => app.close())
  await app.register(fastifyTasks)
  await app.ready()
  const runner = new Runner(app, new Map([['kind', { app, handler, options: {} }]]))
  return { app, runner, lines }
}

t.test('a progress that the engine does not take is logged, and the job goes on', async (t) => {
  const { runner, lines } = await runnerOf(t, async (_app, task) => {
    task.updateProgress(50)
    return 'done'
  })
  const job = stored({ updateProgress: async () => { throw new Error('away') } })
  t.equal(await runner.process(job), 'done')
  t.match(lines.join(), /Progress could not be reported/)
})

t.test('of many reports at once the engine is told the first and the latest', async (t) => {
  const told: unknown[] = []
  const { app, runner } = await runnerOf(t, async (_app, task) => {
    for (const value of [10, 20, 30]) task.updateProgress(value)
    return 'done'
  })
  app.addTask(async (_app, task) => { task.updateProgress(1) })
  t.equal(await runner.process(stored({ updateProgress: async (value: unknown) => { told.push(value) } })), 'done')
  t.same(told, [10, 30])
})

t.test('a job that is no longer of this process is stopped here and not noted as cancelled', async (t) => {
  const { app, runner } = await runnerOf(t, (_app, task) => new Promise((_resolve, reject) => {
    task.signal.addEventListener('abort', () => reject(task.signal.reason))
  }))
  const started = new Promise<void>((resolve) => { app.tasks.once('start', () => resolve()) })
  const outcome = t.rejects(runner.process(stored()), { message: /no longer of this process/ })
  await started
  runner.heartbeat('id')
  runner.heartbeat('unknown')
  runner.lose(['unknown', 'id'])
  await outcome
})

t.test('a job that comes when the process leaves is handed back', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it ran'))
  const moved: unknown[] = []
  runner.leave()
  await t.rejects(runner.process(stored({ moveToDelayed: async (_at: number, token: string) => { moved.push(token) } }), 'token'), { name: 'DelayedError' })
  t.same(moved, ['token'])
})

t.test('of the cancels that come before their jobs a bounded number is kept', async (t) => {
  const { runner } = await runnerOf(t, async () => 'ran')
  for (let i = 0; i <= 1_000; i++) runner.cancel(`id-${i}`, {})
  t.equal(await runner.process(stored({ id: 'id-0' })), 'ran')
  await t.rejects(runner.process(stored({ id: 'id-1' })), { name: 'UnrecoverableError' })
})

t.test('a store that has gone silent is unavailable; one that answers in the end has answered', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.close())
  const log = Fastify({ logger: false }).log
  const store = new Store(checkPluginOptions({ connection: server.url, prefix: 'edges' }), log, async () => {})
  // It works as soon as it is reached.
  store.work()
  await store.open()
  const [answer] = await Promise.all([
    store.ask(() => new Promise((resolve) => setTimeout(resolve, 4_999, 'in time'))),
    t.rejects(store.ask(() => new Promise(() => {})), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' }),
    t.rejects(store.ask(async () => { throw Object.assign(new Error('gone'), { code: -1 }) }), { code: -1 })
  ])
  t.equal(answer, 'in time')
  await store.stopWorking()
  await store.close(1_000)
})

t.test('a connection that is lost when the app closes is given up, and only then closed', async (t) => {
  const { log } = Fastify({ logger: false })
  const store = new Store(checkPluginOptions({ connection: { port: await freePort() } }), log, async () => {})
  const lost = { status: 'reconnecting' }
  Object.assign(store, {
    reached: true, parts: [{ getBackend: () => ({ client: Promise.resolve(lost) }) }], worker: { close: async () => t.equal(lost.status, 'end') }
  })
  setTimeout(() => { lost.status = 'end' }, 50)
  await store.stopWorking()
})

t.test('a store that was never there is not asked for again once the app closes', async (t) => {
  const tries: number[] = []
  const connection = { port: await freePort(), retryStrategy: (times: number) => tries.push(times) && 10 }
  const { log } = Fastify({ logger: false })
  const store = new Store(checkPluginOptions({ connection }), log, async () => {})
  await store.open()
  await store.stopWorking()
  const tried = tries.length
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(tries.length, tried)
  await store.close(1_000)
})
