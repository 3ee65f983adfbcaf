import t, { type Test } from 'tap'
import { kTasksControlBackend, controlBackendOf, type ControlBackend } from '../../lib/shared/control-backend'
import { timers } from '../../lib/shared/timers'
import { readyApp, untilAborted } from '../fixtures/app'

t.test('an empty filter is refused, and cancels nothing', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { name: 'a' })
  const backend = controlBackendOf(app, kTasksControlBackend)!
  for (const filter of [{}, { process: 'p' }, { group: undefined }]) {
    await t.rejects(backend.cancelAll(filter), { code: 'FST_ERR_TASK_INVALID_BODY', statusCode: 400, message: 'Invalid body: an empty filter would cancel all tasks' })
  }
  t.equal(task.endedAt, undefined)
})

t.test('what is added during a walk through the live tasks is not part of it', async (t) => {
  const app = await readyApp(t)
  for (let i = 0; i < 150; i++) app.addTask(untilAborted, { name: `t-${i}` })
  const seen: string[] = []
  for (const page of controlBackendOf(app, kTasksControlBackend)!.live({}) as Iterable<Array<{ name: string }>>) {
    seen.push(...page.map(({ name }) => name))
    app.addTask(untilAborted)
  }
  t.same(seen, Array.from({ length: 150 }, (_, i) => `t-${i}`))
})

t.test('without tasks there are no pages', async (t) => {
  const app = await readyApp(t)
  t.same([...controlBackendOf(app, kTasksControlBackend)!.live({}) as Iterable<unknown>], [])
})

t.test('a page of the walk through the live tasks holds 100, of the group that is asked for', async (t) => {
  const app = await readyApp(t)
  for (let i = 0; i < 250; i++) app.addTask(untilAborted, { group: i % 2 === 0 ? 'a' : 'b' })
  const pages = (filter: object): number[] => Array.from(controlBackendOf(app, kTasksControlBackend)!.live(filter) as Iterable<unknown[]>, ({ length }) => length)
  t.same(pages({}), [100, 100, 50])
  t.same(pages({ group: 'a' }), [100, 25])
})

t.test('a cursor is the begin of the process id and a number', async (t) => {
  const app = await readyApp(t)
  for (const name of ['a', 'b']) app.addTask(untilAborted, { name })
  const backend = controlBackendOf(app, kTasksControlBackend)!
  const { next } = await backend.list({ limit: 1 })
  t.equal(next, `${backend.processId!.slice(0, 8)}.2`)
  for (const after of [next!.replace('.', '.x'), `${next}x`, next!.replace('.', '.0')]) await t.rejects(async () => await backend.list({ limit: 1, after }), { code: 'FST_ERR_TASK_INVALID_CURSOR' })
})

t.test('only the snapshot of a failed task has an error', async (t) => {
  const app = await readyApp(t)
  app.addTask(untilAborted, { name: 'a' })
  t.equal((await controlBackendOf(app, kTasksControlBackend)!.get('a')).error, undefined)
})

t.test('if few tasks match, a page of the walk may be empty', async (t) => {
  const app = await readyApp(t)
  for (let i = 0; i < 2_500; i++) app.addTask(untilAborted)
  app.addTask(untilAborted, { name: 'last' })
  const pages = [...controlBackendOf(app, kTasksControlBackend)!.live({ prefix: 'last' }) as Iterable<unknown[]>]
  t.same(pages.map(({ length }) => length), [0, 0, 1])
})

/** The number of immediates that a walk through 1,000 tasks takes where each look at the clock is 2 ms later, and of those looks. */
async function walk (t: Test, act: (backend: ControlBackend) => unknown): Promise<{ immediates: number, looks: number }> {
  const app = await readyApp(t)
  for (let i = 0; i < 1_000; i++) app.addTask(Promise.resolve(i), { name: `t-${i}`, group: i === 0 ? 'first' : undefined })
  await app.tasks.onIdle()
  let now = 0
  const clock = t.capture(performance, 'now', () => (now += 2))
  const immediates = t.capture(timers, 'setImmediate', timers.setImmediate)
  try {
    await act(controlBackendOf(app, kTasksControlBackend)!)
  } finally {
    clock.restore()
    immediates.restore()
  }
  return { immediates: immediates().length, looks: clock().length }
}

t.test('a walk in which nothing matches looks at the clock at each 128th task, and lets the event loop go on after 2 ms', async (t) => {
  // One look at the begin of each slice, and two in it: at the second, 2 ms have passed. 1,000 tasks are three slices, and a rest.
  t.same(await walk(t, async (backend) => await backend.list({ limit: 10, q: 'nothing' })), { immediates: 3, looks: 11 })
})

t.test('a walk ends with the page', async (t) => {
  t.same(await walk(t, async (backend) => {
    t.match(await backend.list({ limit: 10 }), { tasks: { length: 10 }, next: String })
    t.match(await backend.list({ limit: 10, prefix: 't-9' }), { tasks: { length: 10 } })
  }), { immediates: 0, looks: 2 })
})

t.test('a page that a slice has filled has a next if more match', async (t) => {
  await walk(t, async (backend) => {
    t.match(await backend.list({ limit: 10, prefix: 't-99' }), { tasks: { length: 10 }, next: String })
    t.match(await backend.list({ limit: 11, prefix: 't-99' }), { tasks: { length: 11 }, next: undefined })
  })
})

t.test('of a group only its own tasks are walked', async (t) => {
  t.same(await walk(t, async (backend) => {
    t.match(await backend.list({ limit: 10, group: 'first' }), { tasks: [{ name: 't-0' }] })
  }), { immediates: 0, looks: 1 })
})

t.test('tasks that no state has are not walked', async (t) => {
  t.same(await walk(t, async (backend) => {
    t.same(await backend.list({ limit: 10, states: ['failed', 'running'] }), { tasks: [], cursors: [], next: undefined })
  }), { immediates: 0, looks: 0 })
})

t.test('tasks are cancelled 500 at a time', async (t) => {
  const app = await readyApp(t)
  const tasks = Array.from({ length: 1_000 }, (_, i) => app.addTask(untilAborted, { name: `t-${i}` }))
  const pending: number[] = []
  const { setImmediate } = timers
  // Else a slow machine ends a slice before.
  t.intercept(performance, 'now', { value: () => 0 })
  t.intercept(timers, 'setImmediate', {
    value: <T>(callback: (argument: T) => void, argument: T) => {
      pending.push(tasks.filter(({ state }) => state === 'pending').length)
      return setImmediate(callback, argument)
    }
  })
  t.same(await controlBackendOf(app, kTasksControlBackend)!.cancelAll({ prefix: 't-' }), { cancelled: 1_000, remaining: [] })
  t.same(pending, [500, 0, 0])
})
