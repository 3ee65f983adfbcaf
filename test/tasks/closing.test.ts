import { once } from 'node:events'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Task } from '../../index'
import { appWithTasks, ended, ignoresSignal, logged, readyApp, started, untilAborted } from '../fixtures/app'

t.test("a 'wait' task with a ttl expires while the app does not close", async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { ttl: 5, onClose: 'wait' })
  await Promise.allSettled([task])
  t.match(task.error, { code: 'FST_ERR_TASK_EXPIRED' })
})

t.test("a 'wait' task with a ttl does not expire once closing has begun, and may be renewed", async (t) => {
  const app = await readyApp(t, { closeTimeout: 5_000 })
  const task = app.addTask(async () => { await delay(200); return 'done' }, { ttl: 40, onClose: 'wait' })
  await started(task)
  await delay(20)
  const closed = app.close()
  await delay(20)
  t.equal(task.heartbeat(), true)
  t.same(task.toJSON().lease, { ttl: 40, remaining: 40 })
  await closed
  t.equal(task.state, 'completed')
})

t.test("a 'wait' task with a ttl does not let a request that waits for it hold up the close", async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 50 })
  app.get('/', async (request) => { await Promise.allSettled([request.addTask(untilAborted, { name: 'leased', ttl: 40, onClose: 'wait' })]) })
  const url = await app.listen({ port: 0 })
  const answered = fetch(url)
  const [leased] = await once(app.tasks, 'start')
  await app.close()
  t.equal((await answered).status, 200)
  t.equal(leased.error.cause.code, 'FST_ERR_TASKS_CLOSED')
})

t.test("a request that waits for a 'wait' task holds up the close no longer than twice closeTimeout", async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, { closeTimeout: 100, cancelTimeout: 30 }, { logger })
  let further: Task<string> | undefined
  let release = (): void => {}
  app.get('/', async (request) => {
    await Promise.allSettled([request.addTask(untilAborted)])
    further = request.addTask(() => delay(10, 'further'), { onClose: 'wait' })
    await Promise.allSettled([request.addTask(untilAborted, { name: 'waits', onClose: 'wait' })])
    t.throws(() => request.addTask(untilAborted, { onClose: 'wait' }), { code: 'FST_ERR_TASKS_CLOSED' })
    await Promise.allSettled([stuck])
  })
  const stuck = app.addTask(() => new Promise<void>((resolve) => { release = resolve }), { name: 'stuck', onClose: 'wait' })
  const url = await app.listen({ port: 0 })
  const answered = fetch(url)
  await once(app.tasks, 'start')
  const begun = performance.now()
  const closed = app.close()
  while (lines.length === 0) await delay(1)
  t.match(lines, [{ task: 'stuck', msg: 'Task is still running; a request waiting for it may delay app.close(): stuck' }])
  t.ok(performance.now() - begun >= 2 * 100 + 30 - 1, 'it has had closeTimeout from when tasks are stopped, and cancelTimeout')
  release()
  await closed
  t.equal((await answered).status, 200)
  t.equal(further!.result, 'further')
  t.match(app.getTask('waits')!.error, { cause: { code: 'FST_ERR_TASKS_CLOSED' } })
  t.equal(lines.length, 1)
})

t.test("the lease of a 'wait' task that starts while the app closes does not run", async (t) => {
  const app = await readyApp(t, { closeTimeout: 5_000 })
  app.defineTaskGroup('a', { concurrency: 1 })
  const first = app.addTask(() => delay(30, 'first'), { group: 'a', onClose: 'wait' })
  const second = app.addTask(() => delay(150, 'second'), { group: 'a', onClose: 'wait', ttl: 5 })
  await started(first)
  await app.close()
  t.equal(second.result, 'second')
})

t.test("a 'wait' task may add a second step while the app closes, and others may not", async (t) => {
  const app = await readyApp(t, { closeTimeout: 5_000 })
  let second: Task<string> | undefined
  const first = app.addTask(async (app) => {
    await once(app.tasks, 'end')
    t.throws(() => app.addTask(() => 1), { code: 'FST_ERR_TASKS_CLOSED' })
    t.throws(() => app.addTask(() => 1, { onClose: 'cancel' }), { code: 'FST_ERR_TASKS_CLOSED' })
    second = app.addTask(() => delay(20, 'second'), { onClose: 'wait', ttl: 60_000 })
    return 'first'
  }, { onClose: 'wait' })
  const other = app.addTask(untilAborted)
  await Promise.all([started(first), started(other)])
  await app.close()
  t.equal(first.result, 'first')
  t.equal(second!.result, 'second')
  t.throws(() => app.addTask(() => 1, { onClose: 'wait' }), { code: 'FST_ERR_TASKS_CLOSED' })
})

t.test('the lease of a task that is cancelled on close expires while hooks take their time', async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 5_000 })
  const task = app.addTask(untilAborted, { ttl: 5 })
  app.addHook('preClose', async () => { await ended(task) })
  await app.ready()
  await started(task)
  await app.close()
  t.match(task.error, { code: 'FST_ERR_TASK_EXPIRED' })
})

t.test("once requests have had closeTimeout no 'wait' task is added unless one is live", async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 5 })
  const task = app.addTask(untilAborted)
  app.addHook('preClose', async () => {
    await ended(task)
    t.throws(() => app.addTask(ignoresSignal, { onClose: 'wait' }), { code: 'FST_ERR_TASKS_CLOSED' })
  })
  await app.ready()
  await app.close()
  t.equal(app.tasks.live, 0)
})

t.test('a task that stops late, while others finish, is not reported as still running', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await readyApp(t, { cancelTimeout: 5, closeTimeout: 5_000 }, { logger })
  const late = app.addTask(() => delay(50), { name: 'late' })
  const finishing = app.addTask(async () => { await ended(late); await delay(5) }, { onClose: 'wait' })
  await started(finishing)
  await app.close()
  t.equal(finishing.state, 'completed')
  t.same(lines, [])
})

t.test("code that awaits the last 'wait' task may add another, a function or a promise", async (t) => {
  const app = await readyApp(t, { closeTimeout: 5_000 })
  const steps: string[] = []
  const first = app.addTask(() => delay(10), { onClose: 'wait' })
  const chain = first.then(async () => {
    await app.addTask(() => { steps.push('function') }, { onClose: 'wait' })
    await app.addTask(delay(10).then(() => { steps.push('promise') }), { onClose: 'wait' })
  })
  await started(first)
  await app.close()
  await chain
  t.same(steps, ['function', 'promise'])
})

t.test("a close ends with the last 'wait' task, and not with closeTimeout", async (t) => {
  const app = await readyApp(t, { closeTimeout: 20_000 })
  const task = app.addTask(() => delay(20), { onClose: 'wait' })
  await started(task)
  const start = performance.now()
  await app.close()
  t.equal(task.state, 'completed')
  t.ok(performance.now() - start < 10_000)
})

t.test('further steps share what is left of closeTimeout', async (t) => {
  const app = await readyApp(t, { closeTimeout: 150, cancelTimeout: 1_000 })
  let steps = 0
  const step = async (): Promise<void> => {
    steps++
    await delay(40)
    if (app.tasks.live < 5) app.addTask(step, { onClose: 'wait' })
  }
  await started(app.addTask(step, { onClose: 'wait' }))
  const start = performance.now()
  await app.close()
  t.ok(performance.now() - start < 1_000, 'not a closeTimeout for each')
  t.ok(steps >= 2)
  t.equal(app.tasks.live, 0)
})

t.test("pending 'wait' tasks of a group start while the app closes, as places become free", async (t) => {
  const app = await readyApp(t, { closeTimeout: 5_000 })
  app.defineTaskGroup('a', { concurrency: 1 })
  const order: number[] = []
  const tasks = [1, 2, 3].map((n) => app.addTask(async () => { await delay(5); order.push(n) }, { group: 'a', onClose: 'wait' }))
  const cancelled = app.addTask(() => t.fail('the function was called'), { group: 'a' })
  await started(tasks[0])
  await app.close()
  t.same(order, [1, 2, 3])
  t.equal(cancelled.state, 'cancelled')
})

t.test("closeTimeout bounds the pending 'wait' tasks of a group", async (t) => {
  const app = await readyApp(t, { closeTimeout: 20, cancelTimeout: 20 })
  app.defineTaskGroup('a', { concurrency: 1 })
  const tasks = [1, 2].map(() => app.addTask(untilAborted, { group: 'a', onClose: 'wait' }))
  await started(tasks[0])
  await app.close()
  t.same(tasks.map(({ state }) => state), ['cancelled', 'cancelled'])
  t.equal(tasks[1].startedAt, undefined)
})

t.test("a close before ready accepts no function that could never start, and waits for 'wait' promises", async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 5_000 })
  const task = app.addTask(() => t.fail('the function was called'), { onClose: 'wait' })
  let next: Task<number> | undefined
  const promise = delay(30).then(() => {
    t.throws(() => app.addTask(() => 1, { onClose: 'wait' }), { code: 'FST_ERR_TASKS_CLOSED' })
    next = app.addTask(Promise.resolve(5), { onClose: 'wait' })
  })
  const running = app.addTask(promise, { onClose: 'wait' })
  await app.close()
  t.equal(task.state, 'cancelled')
  t.equal(running.state, 'completed')
  t.equal(next!.result, 5)
})

t.test('a timeout holds while the app closes', async (t) => {
  const app = await readyApp(t, { closeTimeout: 5_000 })
  const task = app.addTask(untilAborted, { onClose: 'wait', timeout: 20 })
  await started(task)
  await app.close()
  t.match(task.error, { code: 'FST_ERR_TASK_TIMEOUT' })
})

t.test('onIdle resolves when the app has closed', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted)
  await started(task)
  const idle = app.tasks.onIdle()
  await app.close()
  await idle
  await ended(task)
  app.tasks.on('end', ignoresSignal)
  await nextTurn()
})

t.test("a 'wait' task that has ended and is kept is not waited for", async (t) => {
  const app = await readyApp(t, { closeTimeout: 30_000 })
  await app.addTask(() => 1, { name: 'kept', onClose: 'wait' })
  const since = Date.now()
  await app.close()
  t.ok(Date.now() - since < 10_000)
})

t.test('a task that was cancelled before is not given the time to finish, though it has onClose: wait', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 20, closeTimeout: 30_000 })
  const task = app.addTask(ignoresSignal, { name: 'cancelled', onClose: 'wait' })
  await started(task)
  task.cancel()
  const since = Date.now()
  await app.close()
  t.ok(Date.now() - since < 10_000)
})
