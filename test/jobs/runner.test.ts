import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fastifyTasks from '../..'
import type { Kind } from '../../lib/jobs/kinds'
import { Runner } from '../../lib/jobs/runner'
import type { Task } from '../../types/task'
import { stored } from '../fixtures/engine'

async function runnerOf (t: Test, handler: Kind['handler'], options: Partial<Kind['options']> = {}) {
  const lines: any[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
  t.teardown(() => app.close())
  await app.register(fastifyTasks)
  await app.ready()
  const runner = new Runner(app, new Map([['kind', { app, handler, options: { queue: 'default', ...options } }]]))
  return { app, runner, lines }
}

/** In a list: a promise of a task would wait for it to end. */
const nextTask = (app: FastifyInstance): Promise<[Task]> => new Promise((resolve) => { app.tasks.once('start', (task) => resolve([task])) })

const untilStopped = (_app: unknown, task: Task): Promise<never> => new Promise((_resolve, reject) => {
  task.signal.addEventListener('abort', () => reject(task.signal.reason))
})

/** A job, and what it is told when it is moved. */
function movable (more: object = {}) {
  const moved: Array<[at: number, token: string]> = []
  return { moved, job: stored({ moveToDelayed: async (at: number, token: string) => { moved.push([at, token]) }, ...more }) }
}

const RELEASED = { name: 'DelayedError', message: 'handed back' }

t.test('a handler is told of its job, and what it returns is the result', async (t) => {
  const { app, runner, lines } = await runnerOf(t, async function (instance, task, data, job) {
    t.equal(this, app)
    t.equal(instance, app)
    t.match(task, { name: 'a', state: 'running' })
    t.same(task.toJSON().lease?.ttl, 60_000)
    t.same(runner.names, ['a'])
    return { data, job }
  })
  const job = stored({ data: { name: 'a', data: { n: 1 }, ttl: 60_000, misrouted: 1 }, attemptsStarted: 3 })
  t.same(await runner.process(job), { data: { n: 1 }, job: { name: 'a', kind: 'kind', attempts: 2 } })
  t.same(runner.names, [])
  t.same(lines, [])
})

t.test('what a handler throws is noted and logged, with the attempt', async (t) => {
  const { runner, lines } = await runnerOf(t, async () => { throw Object.assign(new Error('no'), { code: 'E_NO' }) })
  await t.rejects(runner.process(stored({ attemptsStarted: 2 })), { message: 'no', stack: /^Error \[E_NO\]: no\n/ })
  t.match(lines.at(-1), { level: 50, msg: 'Job failed', attempt: 2, task: 'a', err: { message: 'no' } })
  t.same(runner.names, [])
})

t.test('an attempt that takes longer than its timeout has failed, and one that does not leaves no timer', async (t) => {
  const slow = await runnerOf(t, untilStopped, { timeout: 5 })
  await t.rejects(slow.runner.process(stored()), { message: "Job 'a' took longer than 5 ms", stack: /^FastifyError \[FST_ERR_JOB_TIMEOUT\]: / })
  t.match(slow.lines.at(-1), { msg: 'Job failed', err: { message: "Job 'a' took longer than 5 ms" } })

  const timers = (): number => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
  const before = timers()
  let during = 0
  const quick = await runnerOf(t, async () => { during = timers() }, { timeout: 60_000 })
  await quick.runner.process(stored())
  t.equal(during, before + 1)
  t.equal(timers(), before)
  const unlimited = await runnerOf(t, async () => { during = timers() })
  await unlimited.runner.process(stored())
  t.equal(during, before)
})

t.test('a failure after the timeout is the failure that is noted', async (t) => {
  const { runner } = await runnerOf(t, async (app, task) => {
    await untilStopped(app, task).catch(() => {})
    throw new Error('while cleaning up')
  }, { timeout: 5 })
  await t.rejects(runner.process(stored()), { message: 'while cleaning up' })
})

t.test('a progress that the engine does not take is logged, and the job and its later progress go on', async (t) => {
  const told: unknown[] = []
  const { runner, lines } = await runnerOf(t, async (_app, task) => {
    task.updateProgress(50)
    await new Promise(setImmediate)
    task.updateProgress(60)
    await new Promise(setImmediate)
    task.updateProgress(70)
    return 'done'
  })
  const job = stored({ updateProgress: async (value: unknown) => { if (value === 50) throw new Error('away'); told.push(value) } })
  t.equal(await runner.process(job), 'done')
  t.same(told, [60, 70])
  t.match(lines, [{ level: 40, msg: 'Progress could not be reported', task: 'a', err: { message: 'away' } }])
})

t.test('of many reports at once the engine is told the first and the latest', async (t) => {
  const told: unknown[] = []
  const { app, runner, lines } = await runnerOf(t, async (_app, task) => {
    for (const value of [10, 20, 30]) task.updateProgress(value)
    return 'done'
  })
  app.addTask(async (_app, task) => { task.updateProgress(1) })
  t.equal(await runner.process(stored({ updateProgress: async (value: unknown) => { told.push(value) } })), 'done')
  t.same(told, [10, 30])
  t.same(lines, [])
})

t.test('a job has not ended before the engine knows its progress', async (t) => {
  let told = (): void => {}
  const { runner } = await runnerOf(t, async (_app, task) => { task.updateProgress(10) })
  let ended = false
  const outcome = runner.process(stored({ updateProgress: () => new Promise<void>((resolve) => { told = resolve }) })).then(() => { ended = true })
  await new Promise((resolve) => setTimeout(resolve, 5))
  t.notOk(ended)
  told()
  await outcome
})

t.test('a job is cancelled where it runs, for the reason that was sent', async (t) => {
  const { app, runner, lines } = await runnerOf(t, untilStopped)
  const started = nextTask(app)
  const outcome = runner.process(stored()).catch((error) => error)
  const [task] = await started
  runner.cancel('unknown', {})
  runner.cancel('id', { error: { name: 'RangeError', message: 'enough', code: 'E_ENOUGH' } })
  t.match(task.signal.reason, { name: 'RangeError', message: 'enough', code: 'E_ENOUGH' })
  t.match(await outcome, { name: 'UnrecoverableError', message: "Job 'a' was cancelled", stack: /^JobCancelled \[E_ENOUGH\]/ })
  t.same(lines, [], 'and is no failure')
  // What came for the earlier run is not kept for a later one.
  const again = nextTask(app)
  const second = runner.process(stored()).catch((error) => error)
  await again
  runner.stopAll()
  await second
})

t.test('a cancel that comes before its job, or with it, keeps it from starting', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it ran'))
  runner.cancel('id', { error: { name: 'Error', message: 'early', code: 'E_EARLY' } })
  await t.rejects(runner.process(stored()), { name: 'UnrecoverableError', stack: /^JobCancelled \[E_EARLY\]/ })
  const flagged = stored({ data: { name: 'a', cancel: { error: { name: 'Error', message: 'flagged', code: 'E_FLAGGED' } } } })
  await t.rejects(runner.process(flagged), { name: 'UnrecoverableError', stack: /^JobCancelled \[E_FLAGGED\]/ })
  t.same(runner.names, [])
})

t.test('of the cancels that come before their jobs a bounded number is kept', async (t) => {
  const { runner } = await runnerOf(t, async () => 'ran')
  for (let i = 0; i < 1_000; i++) runner.cancel(`id-${i}`, {})
  await t.rejects(runner.process(stored({ id: 'id-0' })), { name: 'UnrecoverableError' })
  runner.cancel('id-1000', {})
  t.equal(await runner.process(stored({ id: 'id-0' })), 'ran')
  await t.rejects(runner.process(stored({ id: 'id-1' })), { name: 'UnrecoverableError' })
})

t.test('a heartbeat renews the lease of the job that runs here', async (t) => {
  const { app, runner } = await runnerOf(t, untilStopped)
  const started = nextTask(app)
  const outcome = runner.process(stored()).catch(() => {})
  const [task] = await started
  let beats = 0
  task.heartbeat = () => ++beats > 0
  runner.heartbeat('unknown')
  t.equal(beats, 0)
  runner.heartbeat('id')
  t.equal(beats, 1)
  runner.cancel('id', {})
  await outcome
})

t.test('a job that is no longer of this process is stopped here and not noted as cancelled', async (t) => {
  const { app, runner } = await runnerOf(t, untilStopped)
  const started = nextTask(app)
  const outcome = t.rejects(runner.process(stored()), { message: 'The job is no longer of this process: its lock was not renewed in time' })
  await started
  runner.onLocksLost(['unknown', 'id'])
  await outcome
})

t.test('a job that runs when the process leaves is stopped and handed back', async (t) => {
  const { app, runner } = await runnerOf(t, untilStopped)
  const { job, moved } = movable()
  const started = nextTask(app)
  const outcome = t.rejects(runner.process(job, 'token'), RELEASED)
  await started
  runner.stopAll()
  await outcome
  t.match(moved, [[Number, 'token']])
})

t.test('a job that comes when the process leaves is handed back, for another to take within a second', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it ran'))
  const { job, moved } = movable()
  runner.stopAll()
  const since = Date.now()
  await t.rejects(runner.process(job, 'token'), RELEASED)
  t.match(moved, [[Number, 'token']])
  t.ok(moved[0][0] >= since + 100 && moved[0][0] <= Date.now() + 100)
})

t.test('a job whose name a task of this process has is handed back, with a warning', async (t) => {
  const { app, runner, lines } = await runnerOf(t, async () => t.fail('it ran'))
  app.addTask(untilStopped, { name: 'a' }).then(undefined, () => {})
  const updates: unknown[] = []
  const { job, moved } = movable({ updateData: async (data: unknown) => { updates.push(data) } })
  await t.rejects(runner.process(job, 'token'), RELEASED)
  t.match(moved, [[Number, 'token']])
  t.match(updates, [{ misrouted: 1 }], 'which is no attempt')
  t.match(lines, [{ level: 40, msg: 'Job cannot run here and is handed back', job: 'a', err: { code: 'FST_ERR_TASK_NAME_IN_USE' } }])
  t.same(runner.names, [])
})

t.test('a job of an unknown kind is passed on, each time for longer, up to a second', async (t) => {
  const { runner, lines } = await runnerOf(t, async () => t.fail('it ran'))
  for (const [misrouted, delay] of [[undefined, 25], [1, 50], [38, 975], [39, 1_000], [100, 1_000]]) {
    const updates: unknown[] = []
    const { job, moved } = movable({
      name: 'unknown', data: { name: 'a', data: 1, misrouted }, updateData: async (data: unknown) => { updates.push(data) }
    })
    const since = Date.now()
    await t.rejects(runner.process(job, 'token'), RELEASED)
    t.same(updates, [{ name: 'a', data: 1, misrouted: (misrouted ?? 0) + 1 }])
    t.match(moved, [[Number, 'token']])
    t.ok(moved[0][0] >= since + delay! && moved[0][0] <= Date.now() + delay!)
  }
  t.same(lines, [], 'without a word')
})
