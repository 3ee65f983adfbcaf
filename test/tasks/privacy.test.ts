import assert from 'node:assert/strict'
import { isDeepStrictEqual, inspect } from 'node:util'
import t from 'tap'
import type { Task } from '../../index'
import { appWithTasks, ended, ignoresSignal, readyApp, started } from '../fixtures/app'

const MEMBERS = ['name', 'group', 'state', 'signal', 'progress', 'result', 'error', 'log', 'createdAt', 'startedAt', 'endedAt'] as const

t.test('nothing of a task can be written from outside', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(ignoresSignal, { name: 'a', group: 'g', ttl: 60_000 })
  await started(task)
  for (const member of MEMBERS) {
    const before = task[member]
    t.throws(() => { (task as any)[member] = 'written' }, TypeError, member)
    t.equal(task[member], before)
  }
  t.same(Reflect.ownKeys(task), [])
  t.equal(app.getTask('a'), task)
  t.throws(() => { (app.tasks as any).live = 5 }, TypeError)
})

t.test('what is put in front of the members of a task deceives neither the registry nor a close', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 1_000 })
  const shadow = (task: Task): void => {
    for (const [member, value] of Object.entries({ name: 'other', state: 'completed', endedAt: 1, startedAt: 1, error: undefined, signal: undefined, cancel: () => true })) {
      Object.defineProperty(task, member, { value })
    }
  }
  const aborted: string[] = []
  const inner = new AbortController()
  const outer = new AbortController()
  const add = (name: string): Task => app.addTask((_app, { signal }) => new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      aborted.push(name)
      reject(signal.reason)
    })
  }), { name, group: 'g', signal: name === 'outer' ? outer.signal : inner.signal, ttl: name === 'lease' ? 200 : undefined })
  const tasks = ['one', 'filter', 'outer', 'lease', 'close'].map(add)
  await Promise.all(tasks.map(started))
  tasks.forEach(shadow)
  t.throws(() => app.addTask(() => 1, { name: 'one' }), { code: 'FST_ERR_TASK_NAME_IN_USE' })
  t.equal(await app.cancelTask('one'), true)
  t.equal(await app.cancelTasks({ prefix: 'filter', state: 'running' }), 1)
  outer.abort()
  while (app.tasks.live > 1) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same(aborted, ['one', 'filter', 'outer', 'lease'])
  t.equal(app.purgeTasks(), 4)
  t.equal(app.tasks.size, 1)
  await app.close()
  t.equal(aborted.at(-1), 'close')
  t.equal(app.tasks.live, 0)
})

t.test('progress cannot be written through what a task or a snapshot shows of it', async (t) => {
  const app = await readyApp(t)
  const given = { step: { n: 0 }, list: [{ done: false }] }
  const task = app.addTask(ignoresSignal)
  task.updateProgress(given)
  given.step.n = 1
  for (const progress of [task.progress, task.toJSON().progress] as any[]) {
    t.throws(() => { progress.step = 1 }, TypeError)
    t.throws(() => { progress.step.n = 1 }, TypeError)
    t.throws(() => { progress.list[0].done = true }, TypeError)
    t.throws(() => progress.list.push(1), TypeError)
  }
  t.same(task.progress, { step: { n: 0 }, list: [{ done: false }] })
})

t.test('app.tasks cannot be replaced, in an encapsulated child either, nor given other members', async (t) => {
  const app = await appWithTasks(t)
  const { tasks } = app
  await app.register(async (child) => {
    t.equal(child.tasks, tasks)
    t.throws(() => { (child as any).tasks = 1 }, TypeError)
  })
  t.throws(() => { (app as any).tasks = 1 }, TypeError)
  for (const member of ['onIdle', 'emit', 'other']) t.throws(() => { (tasks as any)[member] = () => {} }, TypeError)
  t.equal(app.tasks, tasks)
})

t.test('comparing, printing and cloning tasks does not walk into the app', async (t) => {
  const app = await appWithTasks(t)
  for (let i = 0; i < 1_000; i++) app.get(`/${i}`, async () => i)
  await app.ready()
  const a = app.addTask(ignoresSignal, { name: 'a', ttl: 60_000, group: 'g', signal: new AbortController().signal })
  const b = app.addTask(ignoresSignal, { name: 'b' })
  await Promise.all([started(a), started(b)])
  const start = performance.now()
  isDeepStrictEqual([...app.tasks], [b, a])
  assert.deepEqual([...app.tasks], [a, b])
  assert.equal(structuredClone(a) instanceof Object, true)
  for (const text of [inspect(a), inspect(a, { showHidden: true, depth: Infinity, customInspect: false }), inspect(app.tasks, { depth: Infinity })]) {
    t.ok(text.length < 5_000, `${text.length} characters`)
  }
  t.ok(performance.now() - start < 1_000)
  t.equal(inspect(Object.create(Object.getPrototypeOf(a))), '{}', 'a clone that copies own members holds nothing')
})

t.test('a task equals itself and no other', async (t) => {
  const app = await readyApp(t)
  const first = app.addTask(() => 1, { name: 'a' })
  await first
  const second = app.addTask(() => 1, { name: 'a' })
  assert.deepEqual(first, first)
  assert.notDeepEqual(first, second)
  t.notOk(isDeepStrictEqual([...app.tasks], [first]))
  t.equal(String(Object.create(Object.getPrototypeOf(first))), '[object Task]')
})

t.test('the members of a task are those of the documentation', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => 1)
  const members = new Set<string>()
  for (let proto = Object.getPrototypeOf(task); proto !== Object.prototype; proto = Object.getPrototypeOf(proto)) {
    for (const key of Object.getOwnPropertyNames(proto)) members.add(key)
  }
  t.same(members, new Set([...MEMBERS, 'constructor', 'cancel', 'heartbeat', 'updateProgress', 'toJSON', 'then']))
  await ended(task)
})
