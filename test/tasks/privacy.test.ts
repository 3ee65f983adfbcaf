import assert from 'node:assert/strict'
import { isDeepStrictEqual, inspect } from 'node:util'
import t from 'tap'
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
