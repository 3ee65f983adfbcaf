import { getEventListeners } from 'node:events'
import t from 'tap'
import { subscribe, unsubscribe } from '../../lib/tasks/abort-links'
import type { Task } from '../../lib/tasks/task'
import { ignoresSignal, ended, readyApp, started, untilAborted } from '../fixtures/app'

t.test('200 tasks on one outer signal share one listener, cause no warning and leave no listener behind', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { if (/MaxListeners/.test(warning.name)) warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => { process.off('warning', onWarning) })
  const app = await readyApp(t)
  const { signal } = new AbortController()
  const tasks = Array.from({ length: 200 }, () => app.addTask(() => 1, { signal }))
  t.equal(getEventListeners(signal, 'abort').length, 1)
  await Promise.all(tasks)
  t.equal(getEventListeners(signal, 'abort').length, 0)
  t.same(warnings, [])
})

t.test('an outer signal cancels all of its tasks with its reason', async (t) => {
  const app = await readyApp(t)
  const controller = new AbortController()
  const reason = new Error('enough')
  const tasks = Array.from({ length: 3 }, () => app.addTask(untilAborted, { signal: controller.signal }))
  await Promise.all(tasks.map(started))
  controller.abort(reason)
  for (const task of tasks) {
    t.equal(task.signal.reason, reason)
    await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', cause: reason })
    t.equal(task.state, 'cancelled')
  }
})

t.test('a signal that has aborted before cancels the task before its start', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => t.fail('the function was called'), { name: 'late', signal: AbortSignal.abort('before') })
  t.equal(task.state, 'cancelled')
  t.equal(task.signal.reason, 'before')
  t.equal(await app.cancelTask('late'), false)
})

t.test("a task that ends leaves the signal's other tasks subscribed", async (t) => {
  const app = await readyApp(t)
  const controller = new AbortController()
  const other = app.addTask(ignoresSignal, { signal: controller.signal })
  await app.addTask(() => 1, { signal: controller.signal })
  controller.abort('enough')
  t.equal(other.signal.reason, 'enough')
})

t.test('AbortSignal.timeout makes a deadline', async (t) => {
  const app = await readyApp(t)
  // The signal's timer does not keep the process alive, as a listening server would.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const task = app.addTask(untilAborted, { signal: AbortSignal.timeout(5) })
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', cause: { name: 'TimeoutError' } })
})

t.test('an outer signal that aborts after the end changes nothing', async (t) => {
  const app = await readyApp(t)
  const controller = new AbortController()
  const task = app.addTask(() => 7, { signal: controller.signal, name: 'done' })
  await task
  controller.abort()
  t.equal(task.state, 'completed')
})

t.test('a task that a signal has cancelled leaves it when it ends, even one that ignores its signal', async (t) => {
  const app = await readyApp(t)
  const controller = new AbortController()
  const task = app.addTask(ignoresSignal, { signal: controller.signal })
  await started(task)
  controller.abort()
  t.equal(task.state, 'cancelling')
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

t.test('an abort that ends one task of a signal and adds another reaches both', async (t) => {
  const app = await readyApp(t)
  const controller = new AbortController()
  const { signal } = controller
  let second: ReturnType<typeof app.addTask> | undefined
  app.tasks.once('end', () => { second = app.addTask(ignoresSignal, { signal }) })
  app.addTask(ignoresSignal, { signal })
  controller.abort('both')
  t.equal(second?.state, 'cancelled')
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('a promise passed with an aborted signal is cancelling until it ends', async (t) => {
  const app = await readyApp(t)
  const { promise, resolve } = withResolvers()
  const task = app.addTask(promise, { signal: AbortSignal.abort() })
  t.equal(task.state, 'cancelling')
  resolve()
  await ended(task)
  t.equal(task.state, 'cancelled')
})

/** As of another realm: it has all of an AbortSignal but its class. */
class OtherSignal extends EventTarget {
  aborted = false
  reason: unknown

  abort (reason: unknown): void {
    Object.assign(this, { aborted: true, reason })
    this.dispatchEvent(new Event('abort'))
  }
}

t.test('a signal of another realm cancels its tasks', async (t) => {
  const app = await readyApp(t)
  const signal = new OtherSignal()
  const task = app.addTask(untilAborted, { signal: signal as any })
  await started(task)
  signal.abort('enough')
  await t.rejects(Promise.resolve(task), { cause: 'enough' })
  t.equal(getEventListeners(signal as any, 'abort').length, 0)
  t.equal(app.addTask(ignoresSignal, { signal: signal as any }).state, 'cancelled')
})

t.test('a signal that does not let itself be listened to is refused, and nothing is added', async (t) => {
  const app = await readyApp(t)
  const signal = { aborted: false, addEventListener () { throw new Error('no listeners') }, removeEventListener () {} }
  t.throws(() => app.addTask(ignoresSignal, { name: 'a', signal: signal as any }), { code: 'FST_ERR_TASK_INVALID_OPTION', cause: { message: 'no listeners' } })
  t.equal(app.tasks.size, 0)
  await app.addTask(() => 1, { name: 'a' })
})

for (const member of ['aborted', 'reason', 'addEventListener', 'removeEventListener']) {
  t.test(`a signal whose ${member} throws is refused, and nothing is added`, async (t) => {
    const app = await readyApp(t)
    const signal = Object.defineProperty(Object.assign(new OtherSignal(), { aborted: true }), member, { get () { throw new Error('hostile') } })
    t.throws(() => app.addTask(() => t.fail('it was called'), { name: 'a', signal: signal as any }), { code: 'FST_ERR_TASK_INVALID_OPTION', message: /'signal' must be an AbortSignal/ })
    t.equal(app.tasks.size, 0)
    t.equal(app.tasks.live, 0)
    await app.addTask(() => 1, { name: 'a' })
  })
}

t.test('a signal whose aborted throws only when it is read again is refused', async (t) => {
  const app = await readyApp(t)
  let reads = 0
  const signal = Object.defineProperty(new OtherSignal(), 'aborted', { get () { if (reads++ > 0) throw new Error('hostile'); return false } })
  t.throws(() => app.addTask(ignoresSignal, { signal: signal as any }), { code: 'FST_ERR_TASK_INVALID_OPTION' })
  t.equal(app.tasks.size, 0)
})

t.test('a signal whose reason throws once it has aborted cancels its tasks with that error', async (t) => {
  const app = await readyApp(t)
  const signal = Object.defineProperty(new OtherSignal(), 'reason', { get () { throw new Error('hostile') }, set () {} })
  const task = app.addTask(untilAborted, { signal: signal as any })
  await started(task)
  signal.abort('enough')
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', cause: { message: 'hostile' } })
})

t.test('a signal that calls its listeners without itself and the event cancels its tasks', async (t) => {
  const app = await readyApp(t)
  const { signal } = new AbortController()
  const controller = new AbortController()
  const listeners = new Set<() => void>()
  const wrapper = {
    get aborted () { return controller.signal.aborted },
    get reason () { return controller.signal.reason },
    addEventListener: (_type: string, listener: () => void) => { listeners.add(listener) },
    removeEventListener: (_type: string, listener: () => void) => { listeners.delete(listener) }
  }
  const tasks = [app.addTask(untilAborted, { signal: wrapper as any }), app.addTask(untilAborted, { signal: wrapper as any }), app.addTask(untilAborted, { signal })]
  await Promise.all(tasks.map(started))
  t.equal(listeners.size, 1)
  controller.abort('enough')
  for (const listener of [...listeners, ...listeners]) listener()
  await t.rejects(Promise.resolve(tasks[0]), { cause: 'enough' })
  await t.rejects(Promise.resolve(tasks[1]), { cause: 'enough' })
  t.equal(tasks[2].state, 'running')
})

t.test('unsubscribing a task that is not subscribed does nothing', async (t) => {
  const { signal } = new AbortController()
  const task = {} as Task
  unsubscribe(signal, task)
  subscribe(signal, task)
  unsubscribe(signal, {} as Task)
  t.equal(getEventListeners(signal, 'abort').length, 1)
  unsubscribe(signal, task)
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

function withResolvers (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

t.test('a signal whose removeEventListener throws does not affect its tasks', async (t) => {
  const app = await readyApp(t)
  const signal = Object.assign(new OtherSignal(), { removeEventListener () { throw new Error('kept') } })
  t.equal(await app.addTask(() => 1, { signal: signal as any }), 1)
  signal.abort('late')
  t.equal(app.tasks.live, 0)
})
