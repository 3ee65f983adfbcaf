import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { ended, ignoresSignal, logged, readyApp, started, untilAborted } from '../fixtures/app'

t.test('the signal of a task that exceeds its timeout aborts, and the task fails once it has stopped', async (t) => {
  const app = await readyApp(t)
  let stop = (): void => {}
  const task = app.addTask((_app, { signal }) => new Promise<string>((resolve) => {
    signal.addEventListener('abort', () => { stop = () => resolve('late') })
  }), { name: 'a', timeout: 20 })
  while (!task.signal.aborted) await delay(1)
  t.match(task.signal.reason, { code: 'FST_ERR_TASK_TIMEOUT', statusCode: 504, message: "Task 'a' took longer than 20 ms" })
  t.equal(task.state, 'cancelling')
  t.match(task.toJSON().reason, { code: 'FST_ERR_TASK_TIMEOUT' })
  t.equal(task.heartbeat(), false)
  t.equal(task.cancel(), false)
  t.ok(performance.now() > 0)
  stop()
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_TIMEOUT' })
  t.equal(task.state, 'failed')
  t.equal(task.error, task.signal.reason)
  t.equal(task.result, undefined)
})

for (const [title, work] of [
  ['throws the reason', untilAborted],
  ['throws an AbortError', async (_app: unknown, { signal }: { signal: AbortSignal }) => await delay(10_000, undefined, { signal })],
  ['throws anything else', (_app: unknown, { signal }: { signal: AbortSignal }) => new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('clean-up')))
  })],
  ['is a promise', async () => await delay(40)]
] as const) {
  t.test(`a task that ${title} after its timeout fails with it`, async (t) => {
    const { lines, logger } = logged('error')
    const app = await readyApp(t, {}, { logger })
    const task = app.addTask(title === 'is a promise' ? delay(40) : work as () => Promise<unknown>, { name: 'a', timeout: 5 })
    await ended(task)
    t.equal(task.state, 'failed')
    t.match(task.error, { code: 'FST_ERR_TASK_TIMEOUT' })
    t.match(lines, [{ task: 'a', msg: 'Task failed', err: { message: "Task 'a' took longer than 5 ms" } }])
  })
}

t.test('a task that is in time, fails or is cancelled before keeps its own outcome, and no timer', async (t) => {
  const app = await readyApp(t)
  const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const before = timers()
  const inTime = app.addTask(() => 'in time', { timeout: 60_000 })
  const failed = app.addTask(() => { throw new Error('its own') }, { timeout: 60_000 })
  const cancelled = app.addTask(ignoresSignal, { timeout: 60_000 })
  t.equal(timers(), before, 'the timeout runs from the start')
  t.equal(await inTime, 'in time')
  await t.rejects(Promise.resolve(failed), { message: 'its own' })
  await started(cancelled)
  t.equal(timers(), before + 1)
  cancelled.cancel()
  t.equal(timers(), before)
})

t.test('a cancel before the timeout decides the outcome, and cancelTask joins a stop by timeout', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5_000 })
  const first = app.addTask(async (_app, { signal }) => { await delay(40); signal.throwIfAborted() }, { timeout: 20 })
  await started(first)
  first.cancel('by hand')
  await t.rejects(Promise.resolve(first), { code: 'FST_ERR_TASK_CANCELLED', cause: 'by hand' })
  const second = app.addTask(() => delay(40), { name: 'second', timeout: 5 })
  while (!second.signal.aborted) await delay(1)
  t.equal(await app.cancelTask('second'), true)
  t.equal(second.state, 'failed')
})

for (const timeout of [0, -1, 1.5, 2 ** 31, '5', NaN, null] as any[]) {
  t.test(`a timeout of ${JSON.stringify(timeout)} is refused`, async (t) => {
    const app = await readyApp(t)
    t.throws(() => app.addTask(ignoresSignal, { timeout }), { code: 'FST_ERR_TASK_INVALID_OPTION', message: /'timeout' must be an integer from 1 to 2147483647 \(ms\)/ })
    t.equal(app.tasks.size, 0)
  })
}

t.test('a task that is cancelled before its start clears no timer of others, whatever number its timeout is', async (t) => {
  const app = await readyApp(t)
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 20)
    app.addTask(ignoresSignal, { timeout: Number(timer) }).cancel()
  })
})
