import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { TaskRegistry } from '../../lib/tasks/registry'
import { Task } from '../../lib/tasks/task'
import { fakeLog } from '../fixtures/log'
import { appWithTasks, ignoresSignal, ended, logged, readyApp, started, untilAborted } from '../fixtures/app'

t.test('addTask never runs the function inside the call', async (t) => {
  const app = await readyApp(t)
  const order: string[] = []
  const task = app.addTask(() => { order.push('task') })
  order.push('caller')
  await Promise.resolve().then(() => order.push('microtask'))
  await task
  t.same(order, ['caller', 'microtask', 'task'])
})

t.test('a task is found by its name, live and ended', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => 1, { name: 'a' })
  t.equal(app.getTask('a'), task)
  await task
  t.equal(app.getTask('a'), task)
  t.equal(app.getTask('b'), undefined)
})

t.test('a task without a name is called task-1, task-2, … and forgotten when it ends', async (t) => {
  const app = await readyApp(t)
  app.addTask(ignoresSignal, { name: 'task-2' })
  const names = [1, 2].map(() => app.addTask(() => 1).name)
  t.same(names, ['task-1', 'task-3'])
  await ended(app.getTask('task-3')!)
  t.equal(app.getTask('task-1'), undefined)
  t.equal(app.tasks.size, 1)
})

for (const name of ['__proto__', 'constructor', 'toString', ' ', '\0', 'ü/?#', 'x'.repeat(10_000)]) {
  t.test(`${JSON.stringify(name.slice(0, 20))} is a name like any other`, async (t) => {
    const app = await readyApp(t)
    t.equal(app.getTask(name), undefined)
    const task = app.addTask(() => 1, { name })
    t.equal(app.getTask(name), task)
    t.equal(await app.cancelTask(name), true)
  })
}

t.test('the name of a live task is refused, also while it is cancelling, and nothing is added', async (t) => {
  const app = await readyApp(t)
  const work = (): void => { t.fail('the function was called') }
  const task = app.addTask(ignoresSignal, { name: 'a' })
  for (const step of [() => {}, () => started(task), () => { task.cancel() }]) {
    await step()
    t.throws(() => app.addTask(work, { name: 'a' }), { code: 'FST_ERR_TASK_NAME_IN_USE', statusCode: 409, message: /'a'/ })
    t.equal(app.getTask('a'), task)
  }
  await nextTurn()
  t.equal(app.tasks.size, 1)
})

t.test('a promise that is refused and rejects is logged, and causes no unhandledRejection', async (t) => {
  const { lines, logger } = logged('error')
  const app = await readyApp(t, {}, { logger })
  app.addTask(ignoresSignal, { name: 'a' })
  t.throws(() => app.addTask(Promise.reject(new Error('in use')), { name: 'a' }), { code: 'FST_ERR_TASK_NAME_IN_USE' })
  t.throws(() => app.addTask(Promise.reject(new Error('option')), { ttl: 0 }), { code: 'FST_ERR_TASK_INVALID_OPTION' })
  await app.close()
  t.throws(() => app.addTask(Promise.reject(new Error('closed'))), { code: 'FST_ERR_TASKS_CLOSED' })
  await nextTurn()
  t.same(lines.map(({ err, msg }) => [err!.message, msg]), ['in use', 'option', 'closed'].map(
    (message) => [message, 'A promise that addTask had refused has rejected']))
})

t.test('refused work is not started: a lazy query is not awaited', async (t) => {
  const app = await readyApp(t)
  const query = { then () { t.fail('it was awaited') } }
  t.throws(() => app.addTask(query as unknown as Promise<void>, { ttl: 0 }), { code: 'FST_ERR_TASK_INVALID_OPTION' })
  await nextTurn()
  t.equal(app.tasks.size, 0)
})

t.test('the name of an ended task is free at once, and its end does not remove the new one', async (t) => {
  const app = await readyApp(t)
  const first = app.addTask(untilAborted, { name: 'a' })
  await started(first)
  let second: unknown
  // Inside the end of the first: the name is free by then.
  app.tasks.once('end', () => { second = app.addTask(untilAborted, { name: 'a' }) })
  t.equal(await app.cancelTask('a'), true)
  t.ok(second !== undefined && app.getTask('a') === second)
  t.equal(app.purgeTasks(), 0)
  t.ok(app.getTask('a') === second)
  const third = app.addTask(ignoresSignal)
  third.cancel()
  const again = app.addTask(ignoresSignal, { name: third.name })
  await nextTurn()
  t.equal(app.getTask(third.name), again)
})

t.test('a task cancelled before its start never calls its function', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => t.fail('the function was called'), { name: 'a' })
  t.equal(await app.cancelTask('a', 'why'), true)
  t.equal(task.state, 'cancelled')
  t.equal(task.startedAt, undefined)
  await nextTurn()
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', cause: 'why' })
})

t.test('later cancels join the wait of the first', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5_000 })
  let finish = (): void => {}
  const task = app.addTask(() => new Promise<void>((resolve) => { finish = resolve }), { name: 'a' })
  await started(task)
  const cancels = [app.cancelTask('a', 'first'), app.cancelTask('a', 'second')]
  let settled = false
  const all = Promise.all(cancels).then((results) => { settled = true; return results })
  await nextTurn()
  t.notOk(settled)
  finish()
  t.same(await all, [true, true])
  t.equal(task.signal.reason, 'first')
})

t.test('cancelling an unknown or an ended task resolves to false, and does not reject with its error', async (t) => {
  const app = await readyApp(t)
  t.equal(await app.cancelTask('unknown'), false)
  const task = app.addTask(() => { throw new Error('its own') }, { name: 'failed' })
  await ended(task)
  t.equal(await app.cancelTask('failed'), false)
})

t.test('a cancel of a task that fails meanwhile resolves with true', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(async (_app, { signal }) => { while (!signal.aborted) await nextTurn(); throw new Error('clean-up') }, { name: 'a' })
  await started(task)
  t.equal(await app.cancelTask('a'), true)
  t.equal(task.state, 'failed')
})

t.test('a task that ignores its signal rejects the cancel, stays cancelling, and may be waited for again', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5 })
  let finish = (): void => {}
  const task = app.addTask(() => new Promise<void>((resolve) => { finish = resolve }), { name: 'stuck' })
  await started(task)
  for (let i = 0; i < 2; i++) {
    await t.rejects(app.cancelTask('stuck'), { code: 'FST_ERR_TASK_CANCEL_TIMEOUT', message: /'stuck' is still running 5 ms/ })
    t.equal(task.state, 'cancelling')
    t.equal(app.getTask('stuck'), task)
  }
  const last = app.cancelTask('stuck')
  finish()
  t.equal(await last, true)
  t.equal(task.state, 'cancelled')
})

t.test('a promise that is handed over runs from the call, and a cancel waits for it', async (t) => {
  const app = await readyApp(t)
  t.equal(await app.addTask(Promise.resolve(3)), 3)
  let finish = (_value: number): void => {}
  const task = app.addTask(new Promise<number>((resolve) => { finish = resolve }), { name: 'a' })
  t.equal(task.state, 'running')
  t.ok(task.startedAt! >= task.createdAt)
  const cancel = app.cancelTask('a', 'why')
  t.ok(task.signal.aborted)
  t.equal(task.state, 'cancelling')
  finish(1)
  t.equal(await cancel, true)
  t.equal(task.state, 'cancelled')
  t.equal(task.result, undefined)
})

t.test('a promise that is handed over before ready is running', async (t) => {
  const app = await appWithTasks(t)
  const task = app.addTask(Promise.resolve(1))
  t.equal(task.state, 'running')
  t.equal(await task, 1)
})

t.test('purge removes ended tasks, keeps live ones, and returns how many', async (t) => {
  const app = await readyApp(t)
  const live = app.addTask(ignoresSignal, { name: 'live' })
  await app.addTask(() => 1, { name: 'a' })
  await ended(app.addTask(() => { throw new Error('b') }, { name: 'b' }))
  app.addTask(ignoresSignal, { name: 'c' }).cancel()
  await app.addTask(() => 1)
  t.equal(app.purgeTasks(), 3)
  t.same([...app.tasks], [live])
  t.equal(app.purgeTasks(), 0)
})

t.test('keepEnded bounds the ended tasks: the oldest to end leaves first', async (t) => {
  const app = await readyApp(t, { keepEnded: 2 })
  const live = app.addTask(untilAborted, { name: 'live' })
  for (const name of ['a', 'b', 'c']) await app.addTask(() => 1, { name })
  t.same(Array.from(app.tasks, ({ name }) => name), ['live', 'b', 'c'])
  live.cancel()
  await ended(live)
  t.same(Array.from(app.tasks, ({ name }) => name), ['live', 'c'])
})

t.test('keepEnded 0 keeps none', async (t) => {
  const app = await readyApp(t, { keepEnded: 0 })
  const task = app.addTask(() => 1, { name: 'a' })
  t.equal(await task, 1)
  t.equal(app.getTask('a'), undefined)
  t.equal(app.purgeTasks(), 0)
})

t.test("each task runs in its caller's async context, added before ready or after", async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const app = await appWithTasks(t)
  const before = ['a', 'b'].map((id) => storage.run(id, () => app.addTask(async () => {
    await nextTurn()
    return storage.getStore()
  })))
  await storage.run('the boot', () => app.ready())
  t.same(await Promise.all(before), ['a', 'b'])
  const after = ['c', 'd'].map((id) => storage.run(id, () => app.addTask(() => storage.getStore())))
  t.same(await Promise.all(after), ['c', 'd'])
})

t.test('20,000 live tasks close within two seconds, and one that ignores its signal is named at warn with its age', async (t) => {
  const { lines, logger } = logged('info')
  const app = await readyApp(t, { cancelTimeout: 100 }, { logger })
  const tasks = Array.from({ length: 20_000 }, (_, i) => app.addTask(untilAborted, { name: `t${i}` }))
  const still = app.addTask(ignoresSignal, { name: 'the one that ignores its signal' })
  await started(still)
  const start = performance.now()
  await app.close()
  t.ok(performance.now() - start < 4_000, 'bounded, on a slow machine too')
  t.ok(tasks.every(({ state }) => state === 'cancelled'))
  t.equal(still.state, 'cancelling')
  const warnings = lines.filter(({ level }) => level === 40)
  t.same(warnings.map(({ task }) => task), ['the one that ignores its signal'])
  t.ok(warnings[0].age! >= 100)
})

t.test('adding, ending, finding and purging cost about the same among many tasks as among few', async (t) => {
  const measure = async (others: number): Promise<number> => {
    const app = await readyApp(t, { keepEnded: 100_000 })
    for (let i = 0; i < others; i++) app.addTask(Promise.resolve(), { name: `other-${i}` })
    await nextTurn()
    let best = Infinity
    for (let round = 0; round < 7; round++) {
      const start = performance.now()
      for (let i = 0; i < 500; i++) app.addTask(Promise.resolve(), { name: `${round}-${i}` })
      await nextTurn()
      for (let i = 0; i < 500; i++) app.getTask(`${round}-${i}`)
      best = Math.min(best, performance.now() - start)
    }
    t.equal(app.purgeTasks(), others + 3_500)
    return best
  }
  const few = await measure(1)
  const many = await measure(50_000)
  t.ok(many < few * 10 + 10, `${many} ms among 50,000, ${few} ms among few`)
})

t.test('the registry tells counts, groups and the newest tasks, from any of them on', async (t) => {
  const app = { log: fakeLog().log } as unknown as FastifyInstance
  const registry = new TaskRegistry(app.log, { cancelTimeout: 5, closeTimeout: 5, keepEnded: 10 })
  registry.onReady()
  const tasks = Array.from({ length: 5 }, (_, i) => registry.add(app, i === 0 ? ignoresSignal : () => i, { name: `${i}`, group: i < 3 ? 'a' : undefined }))
  await Promise.all(tasks.slice(1))
  const names = (found: Iterable<Task>): string[] => Array.from(found, ({ name }) => name)
  t.same(registry.tally.counts, { pending: 0, running: 1, cancelling: 0, completed: 4, failed: 0, cancelled: 0 })
  t.same(names(registry.newestFirst()), ['4', '3', '2', '1', '0'])
  const [, , third] = registry.newestFirst()
  t.same(names(registry.newestFirst(Task.sequenceOf(third))), ['1', '0'])
  const [group] = registry.groups
  t.ok(group === registry.groups.get('a') && group.name === 'a')
  t.same(group.tally.counts, { pending: 0, running: 1, cancelling: 0, completed: 2, failed: 0, cancelled: 0 })
  t.same(names(group.newestFirst()), ['2', '1', '0'])
  t.same(names(group.newestFirst(Task.sequenceOf(third))), ['1', '0'])
  registry.purge()
  t.same(names(registry.newestFirst()), ['0'])
  t.same(names(group.newestFirst()), ['0'])
  t.same(registry.tally.counts, { ...group.tally.counts, running: 1 })
  tasks[0].cancel()
})
