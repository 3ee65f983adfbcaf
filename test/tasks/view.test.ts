import { on, once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Task } from '../../index'
import { ignoresSignal, ended, logged, readyApp, started, untilAborted } from '../fixtures/app'

t.test('the tasks are iterated in the order added, ended ones included', async (t) => {
  const app = await readyApp(t)
  await app.addTask(() => 1, { name: 'a' })
  app.addTask(untilAborted, { name: 'b' })
  app.addTask(untilAborted)
  t.same(Array.from(app.tasks, ({ name, state }) => [name, state]), [['a', 'completed'], ['b', 'pending'], ['task-1', 'pending']])
  t.equal(app.tasks.size, 3)
})

t.test('app.tasks is read-only', async (t) => {
  const app = await readyApp(t)
  app.addTask(untilAborted)
  t.same(Object.values(app.tasks).filter((value) => value instanceof Map), [])
  t.throws(() => { (app.tasks as { size: number }).size = 0 }, TypeError)
})

t.test('start, progress and end are emitted once each, with the task', async (t) => {
  const app = await readyApp(t)
  const seen: unknown[] = []
  for (const event of ['start', 'progress', 'end'] as const) {
    app.tasks.on(event, (task) => seen.push([event, task.name, task.state]))
  }
  await app.addTask((_app, task) => task.updateProgress(50), { name: 'a' })
  t.same(seen, [['start', 'a', 'running'], ['progress', 'a', 'running'], ['end', 'a', 'completed']])
})

t.test('a task cancelled before its start has an end and no start', async (t) => {
  const app = await readyApp(t)
  const seen: string[] = []
  app.tasks.on('start', () => seen.push('start'))
  app.tasks.on('end', () => seen.push('end'))
  app.addTask(ignoresSignal).cancel()
  t.same(seen, ['end'])
})

t.test('events.once and events.on work on the tasks', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => 1)
  const [first] = await once(app.tasks, 'end')
  t.equal(first, task)
  const controller = new AbortController()
  const events = on(app.tasks, 'end', { signal: controller.signal })
  const second = app.addTask(() => 2)
  t.equal((await events.next()).value[0], second)
  controller.abort()
  t.equal(app.tasks.listenerCount('end'), 0)
})

t.test('a listener that throws or rejects is logged, and neither the task nor the other listeners notice', async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  let others = 0
  app.tasks.on('start', () => { throw new Error('sync') })
  app.tasks.on('start', async () => { throw new Error('async') })
  app.tasks.on('start', () => { others++ })
  // eslint-disable-next-line no-throw-literal -- hostile
  app.tasks.on('end', () => { throw null })
  app.tasks.on('end', () => { others++ })
  t.equal(await app.addTask(() => 1, { name: 'a' }), 1)
  t.equal(others, 2)
  const failures = lines.filter(({ msg }) => msg === 'A listener on app.tasks threw an error')
  t.same(failures.map(({ level, task, event, err }) => [level, task, event, err?.message]), [
    [50, 'a', 'start', 'sync'], [50, 'a', 'start', 'async'], [50, 'a', 'end', undefined]
  ])
})

t.test('what a listener returns that rejects later is logged, of another realm or of a library; a task is left alone', async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  const thenable = (method: string, ...members: string[]): object => Object.fromEntries(members.map((member) => [member, (_: unknown, reject?: (error: Error) => void) => reject?.(new Error(method))]))
  app.tasks.on('start', runInNewContext('async () => { throw new Error("realm") }'))
  app.tasks.on('start', () => thenable('library', 'then', 'catch'))
  app.tasks.on('start', () => ({ get then () { throw new Error('getter') } }))
  let cleanUp: Task | undefined
  app.tasks.once('end', () => (cleanUp = app.addTask(() => { throw new Error('its own') }, { name: 'clean-up' })))
  await app.addTask(() => 1)
  app.tasks.removeAllListeners('start')
  while (cleanUp?.endedAt === undefined) await nextTurn()
  t.strictSame(lines.filter(({ level }) => level === 50).map(({ msg, err }) => [msg.replace(/ on app.tasks.*/, ''), err?.message]), [
    ['A listener', 'library'], ['A listener', 'getter'], ['A listener', 'realm'], ['Task failed: clean-up', 'its own']
  ])
})

t.test('a listener of start that cancels the task keeps its function from being called', async (t) => {
  const app = await readyApp(t)
  app.tasks.on('start', (task) => { task.cancel('no') })
  const task = app.addTask(() => t.fail('the function was called'), { name: 'a' })
  await ended(task)
  t.equal(task.state, 'cancelled')
})

t.test('a listener of end may add a task of the same name', async (t) => {
  const app = await readyApp(t)
  let left = 3
  app.tasks.on('end', () => { if (left-- > 0) app.addTask((left => () => left)(left), { name: 'again' }) })
  const first = app.addTask(() => 'first', { name: 'again' })
  t.equal(await first, 'first')
  for (const result of [2, 1, 0]) t.equal(await app.getTask('again'), result)
  t.equal(app.tasks.size, 1)
})

t.test('a listener of end may cancel the others', async (t) => {
  const app = await readyApp(t)
  const others = [1, 2, 3].map(() => app.addTask(untilAborted))
  await Promise.all(others.map(started))
  app.tasks.on('end', () => others.forEach((task) => task.cancel('chain')))
  app.addTask(() => 1)
  await Promise.all(others.map(ended))
  t.ok(others.every((task) => task.state === 'cancelled'))
  t.equal(app.tasks.size, 0)
})

t.test('a thousand listeners cause no warning', async (t) => {
  const app = await readyApp(t)
  let calls = 0
  for (let i = 0; i < 1000; i++) app.tasks.on('end', () => { calls++ })
  const warned = t.capture(process, 'emitWarning')
  await app.addTask(() => 1)
  t.equal(calls, 1000)
  t.same(warned(), [])
})
