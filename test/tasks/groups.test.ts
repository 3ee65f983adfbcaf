import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Task, TaskOptions } from '../../index'
import { controlBackendOf, kTasksControlBackend } from '../../lib/shared/control-backend'
import { Task as InternalTask } from '../../lib/tasks/task'
import { appWithTasks, ended, ignoresSignal, readyApp, started, untilAborted } from '../fixtures/app'

const states = (tasks: Iterable<Task>): string[] => Array.from(tasks, ({ state }) => state)

async function groupsOf (app: FastifyInstance): Promise<string[]> {
  return (await controlBackendOf(app, kTasksControlBackend)!.summary()).groups.map(({ group }) => group)
}

/** Lets what was scheduled happen: immediates that make immediates, too. */
async function turns (count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn()
}

/** Work that ends when it is told to. */
function gate () {
  const gates: Array<{ open: () => void, fail: (error: Error) => void }> = []
  const work = (): Promise<void> => new Promise((resolve, reject) => { gates.push({ open: resolve, fail: reject }) })
  return { gates, work }
}

t.test('a group needs no declaration: its tasks are found by it, in the order added, ended ones included', async (t) => {
  const app = await readyApp(t)
  t.same(app.getTasks({ group: 'a' }), [])
  const first = app.addTask(() => 1, { name: 'first', group: 'a' })
  app.addTask(ignoresSignal, { name: 'other', group: 'b' })
  app.addTask(ignoresSignal, { name: 'none' })
  await first
  const second = app.addTask(ignoresSignal, { group: 'a' })
  t.ok(app.getTasks({ group: 'a' }).every((task, i) => task === [first, second][i]))
  t.equal(app.getTasks({ group: 'a' }).length, 2)
  t.equal(second.group, 'a')
  t.equal(second.toJSON().group, 'a')
  t.equal(app.getTask('none')!.group, undefined)
  app.purgeTasks()
  t.same(app.getTasks({ group: 'a' }).map(({ name }) => name), [second.name])
})

t.test('getTasks filters by state, prefix and group, and takes no filter for all', async (t) => {
  const app = await readyApp(t)
  await app.addTask(() => 1, { name: 'report:1', group: 'reports' })
  const running = app.addTask(ignoresSignal, { name: 'report:2', group: 'reports' })
  await started(running)
  app.addTask(ignoresSignal, { name: 'poller' })
  const names = (filter?: object): string[] => app.getTasks(filter).map(({ name }) => name)
  t.same(names(), ['report:1', 'report:2', 'poller'])
  t.same(names({}), names())
  t.same(names({ group: undefined, state: undefined, prefix: undefined }), names())
  t.same(names({ state: 'running' }), ['report:2'])
  t.same(names({ state: ['completed', 'pending'] }), ['report:1', 'poller'])
  t.same(names({ prefix: 'report:' }), ['report:1', 'report:2'])
  t.same(names({ prefix: 'report:', state: 'completed', group: 'reports' }), ['report:1'])
  t.same(names({ group: 'unknown' }), [])
})

for (const [filter, code] of [
  [null, 'FST_ERR_TASK_INVALID_ARGUMENT'], ['a', 'FST_ERR_TASK_INVALID_ARGUMENT'], [[], 'FST_ERR_TASK_INVALID_ARGUMENT'],
  [{ group: '' }, 'FST_ERR_TASK_INVALID_OPTION'], [{ group: 1 }, 'FST_ERR_TASK_INVALID_OPTION'], [{ prefix: '' }, 'FST_ERR_TASK_INVALID_OPTION'],
  [{ state: 'done' }, 'FST_ERR_TASK_INVALID_OPTION'], [{ state: [] }, 'FST_ERR_TASK_INVALID_OPTION'], [{ state: ['running', 1] }, 'FST_ERR_TASK_INVALID_OPTION'],
  [{ name: 'a' }, 'FST_ERR_TASK_INVALID_OPTION']
] as Array<[any, string]>) {
  t.test(`the filter ${JSON.stringify(filter)} is refused, and nothing is cancelled`, async (t) => {
    const app = await readyApp(t)
    const task = app.addTask(ignoresSignal, { name: 'a', group: 'a' })
    t.throws(() => app.getTasks(filter), { code })
    await t.rejects(app.cancelTasks(filter), { code })
    t.equal(task.state, 'pending')
  })
}

for (const filter of [undefined, {}, { group: undefined }] as any[]) {
  t.test(`cancelTasks refuses the empty filter ${JSON.stringify(filter)}`, async (t) => {
    const app = await readyApp(t)
    const task = app.addTask(ignoresSignal)
    await t.rejects(app.cancelTasks(filter), { code: 'FST_ERR_TASK_INVALID_ARGUMENT', message: /'filter' must be / })
    t.equal(task.state, 'pending')
  })
}

t.test('at most `concurrency` tasks of a group run; the others are pending, and start in the order added', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 2 })
  const { gates, work } = gate()
  const tasks = Array.from({ length: 5 }, (_, i) => app.addTask(work, { name: `${i}`, group: 'a' }))
  const outside = app.addTask(ignoresSignal)
  await turns()
  t.same(states(tasks), ['running', 'running', 'pending', 'pending', 'pending'])
  t.equal(outside.state, 'running')
  gates[1].open()
  await turns()
  t.same(states(tasks), ['running', 'completed', 'running', 'pending', 'pending'])
  gates[2].fail(new Error('its place becomes free all the same'))
  await turns()
  t.same(states(tasks), ['running', 'completed', 'failed', 'running', 'pending'])
  t.equal(tasks[4].startedAt, undefined)
  t.equal(app.getTask('4'), tasks[4])
  for (const { open } of gates) open()
  await turns()
  gates[4].open()
  await tasks[4]
})

t.test('a task that ignores its cancel keeps its place until it ends; one that throws at once leaves it', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const { gates, work } = gate()
  const stuck = app.addTask(work, { group: 'a' })
  const thrower = app.addTask(() => { throw new Error('at once') }, { group: 'a' })
  const last = app.addTask(() => 'last', { group: 'a' })
  await turns()
  stuck.cancel()
  await turns()
  t.same(states([stuck, thrower, last]), ['cancelling', 'pending', 'pending'])
  gates[0].open()
  await t.rejects(Promise.resolve(thrower), { message: 'at once' })
  t.equal(await last, 'last')
})

t.test('a pending task of a group is awaited and cancelled like any other, and its name is taken', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const { gates, work } = gate()
  const first = app.addTask(work, { group: 'a' })
  const waiting = app.addTask(() => t.fail('the function was called'), { name: 'waits', group: 'a' })
  const last = app.addTask(() => 'last', { group: 'a' })
  await turns()
  t.throws(() => app.addTask(() => 1, { name: 'waits', group: 'a' }), { code: 'FST_ERR_TASK_NAME_IN_USE' })
  t.equal(await app.cancelTask('waits', 'why'), true)
  await t.rejects(Promise.resolve(waiting), { code: 'FST_ERR_TASK_CANCELLED', cause: 'why' })
  gates[0].open()
  t.equal(await last, 'last')
  t.equal(first.state, 'completed')
})

t.test('a cancelled task that had a place and has not started gives it to the next', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const first = app.addTask(() => t.fail('the function was called'), { group: 'a' })
  const second = app.addTask(() => 'second', { group: 'a' })
  first.cancel()
  t.equal(await second, 'second')
})

t.test('beyond maxPending addTask throws and adds nothing; a place that becomes free makes room', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1, maxPending: 2 })
  const { gates, work } = gate()
  await app.addTask(() => 1, { name: 'kept', group: 'a' })
  const tasks = Array.from({ length: 3 }, () => app.addTask(work, { group: 'a' }))
  for (const name of [undefined, 'kept', 'new']) {
    t.throws(() => app.addTask(work, { name, group: 'a' }), {
      code: 'FST_ERR_TASK_GROUP_FULL', statusCode: 503, message: "Task group 'a' is full: 2 tasks are pending"
    })
  }
  t.equal(app.getTask('new'), undefined)
  t.equal(app.getTask('kept')!.state, 'completed', 'an ended task of the name is not removed')
  t.equal(app.tasks.live, 3)
  await turns()
  gates[0].open()
  await turns()
  app.addTask(work, { group: 'a' })
  t.throws(() => app.addTask(work, { group: 'a' }), { code: 'FST_ERR_TASK_GROUP_FULL' })
  tasks[2].cancel()
  app.addTask(work, { group: 'a' })
  await app.cancelTasks({ group: 'a' }).catch(() => {})
})

t.test('a promise takes a place of a limited group, beyond the limit if need be, and is never refused', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1, maxPending: 1 })
  const opens: Array<() => void> = []
  const promises = [1, 2].map(() => new Promise<void>((resolve) => { opens.push(resolve) }))
  const running = promises.map((promise) => app.addTask(promise, { group: 'a' }))
  const waiting = app.addTask(() => 1, { group: 'a' })
  t.throws(() => app.addTask(() => 1, { group: 'a' }), { code: 'FST_ERR_TASK_GROUP_FULL' })
  const third = app.addTask(Promise.resolve(3), { group: 'a' })
  t.same(states([...running, waiting, third]), ['running', 'running', 'pending', 'running'])
  await third
  opens[0]()
  await turns()
  t.equal(waiting.state, 'pending', 'one of them still has the only place')
  opens[1]()
  t.equal(await waiting, 1)
})

t.test('ttl and timeout of a pending task run from its start', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const { gates, work } = gate()
  app.addTask(work, { group: 'a' })
  const leased = app.addTask(() => 'leased', { group: 'a', ttl: 5 })
  const timed = app.addTask(() => 'timed', { group: 'a', timeout: 5 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  gates[0].open()
  t.equal(await leased, 'leased')
  t.equal(await timed, 'timed')
})

t.test('limits may come after the tasks, before ready: those added first get the places', async (t) => {
  const app = await appWithTasks(t)
  const { gates, work } = gate()
  const tasks = Array.from({ length: 3 }, () => app.addTask(work, { group: 'a' }))
  await app.register(async (child) => { child.defineTaskGroup('a', { concurrency: 1, maxPending: 1 }) })
  t.throws(() => app.addTask(work, { group: 'a' }), { code: 'FST_ERR_TASK_GROUP_FULL' })
  await app.ready()
  await turns()
  t.same(states(tasks), ['running', 'pending', 'pending'])
  for (const i of [0, 1, 2]) {
    gates[i].open()
    await turns()
  }
  t.same(states(tasks), ['completed', 'completed', 'completed'])
})

t.test('limits may come when tasks run: they go on, and no other starts before enough have ended', async (t) => {
  const app = await readyApp(t)
  const { gates, work } = gate()
  const tasks = Array.from({ length: 3 }, () => app.addTask(work, { group: 'a' }))
  await turns()
  tasks.push(app.addTask(work, { group: 'a' }))
  app.defineTaskGroup('a', { concurrency: 2 })
  await turns()
  t.same(states(tasks), ['running', 'running', 'running', 'pending'])
  gates[0].open()
  await turns()
  t.equal(tasks[3].state, 'pending')
  gates[1].open()
  await turns()
  t.equal(tasks[3].state, 'running')
  for (const { open } of gates) open()
  await turns()
})

t.test('limits that come later leave a promise that was added last its place', async (t) => {
  const app = await readyApp(t)
  const waiting = app.addTask(ignoresSignal, { group: 'a' })
  app.addTask(new Promise(() => {}), { group: 'a' })
  app.defineTaskGroup('a', { concurrency: 1 })
  await turns()
  t.equal(waiting.state, 'pending')
})

t.test('a task that is cancelled while it waits for a place starts no other, and holds no async context', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const tasks = [1, 2, 3].map((n) => app.addTask(ignoresSignal, { name: `${n}`, group: 'a' }))
  tasks[2].cancel()
  await turns()
  t.same(states(tasks), ['running', 'pending', 'cancelled'])
  t.same(tasks.map((task) => InternalTask.peek(task as unknown as InternalTask)!.member!.parked?.constructor.name), [undefined, 'AsyncResource', undefined])
})

t.test('limits defined in the turn of the add apply, also to tasks that get a place before their immediate', async (t) => {
  const app = await readyApp(t)
  const { gates, work } = gate()
  const tasks = Array.from({ length: 3 }, () => app.addTask(work, { group: 'a' }))
  app.defineTaskGroup('a', { concurrency: 1 })
  tasks[0].cancel()
  await turns()
  t.same(states(tasks), ['cancelled', 'running', 'pending'])
  t.equal(gates.length, 1)
  gates[0].open()
  await turns()
  gates[1].open()
  await tasks[2]
})

t.test('before ready, limited tasks are pending, and start within the limit in the order added', async (t) => {
  const app = await appWithTasks(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const order: number[] = []
  const tasks = [1, 2, 3].map((n) => app.addTask(async () => { order.push(n) }, { group: 'a' }))
  t.equal(await Promise.resolve(tasks[1].cancel()), true)
  await app.ready()
  await Promise.all([tasks[0], tasks[2]])
  t.same(order, [1, 3])
})

for (const [title, group, limits, code] of [
  ['a group without a name', '', {}, 'FST_ERR_TASK_INVALID_ARGUMENT'], ['a group that is no string', 1, {}, 'FST_ERR_TASK_INVALID_ARGUMENT'],
  ['limits that are no object', 'a', 5, 'FST_ERR_TASK_INVALID_ARGUMENT'], ['null', 'a', null, 'FST_ERR_TASK_INVALID_ARGUMENT'],
  ['a concurrency of 0', 'a', { concurrency: 0 }, 'FST_ERR_TASK_INVALID_OPTION'], ['a fraction', 'a', { concurrency: 1.5 }, 'FST_ERR_TASK_INVALID_OPTION'],
  ['Infinity', 'a', { concurrency: Infinity }, 'FST_ERR_TASK_INVALID_OPTION'], ['maxPending 0', 'a', { concurrency: 1, maxPending: 0 }, 'FST_ERR_TASK_INVALID_OPTION'],
  ['text', 'a', { maxPending: '5' }, 'FST_ERR_TASK_INVALID_OPTION'], ['an unknown limit', 'a', { rate: 1 }, 'FST_ERR_TASK_INVALID_OPTION']
] as Array<[string, any, any, string]>) {
  t.test(`defineTaskGroup refuses ${title}, and defines nothing`, async (t) => {
    const app = await readyApp(t)
    t.throws(() => app.defineTaskGroup(group, limits), { code })
    t.same(await groupsOf(app), [])
    app.defineTaskGroup('a')
  })
}

t.test('a group is defined once, and its limits are a copy', async (t) => {
  const app = await readyApp(t)
  const limits = { concurrency: 1 }
  app.defineTaskGroup('a', limits)
  limits.concurrency = 5
  t.throws(() => app.defineTaskGroup('a', { concurrency: 2 }), { code: 'FST_ERR_TASK_GROUP_ALREADY_DEFINED', message: /'a'/ })
  const tasks = [1, 2].map(() => app.addTask(ignoresSignal, { group: 'a' }))
  await turns()
  t.same(states(tasks), ['running', 'pending'])
  app.defineTaskGroup('b', { maxPending: 1 })
  const unlimited = [1, 2, 3].map(() => app.addTask(ignoresSignal, { group: 'b' }))
  await turns()
  t.same(states(unlimited), ['running', 'running', 'running'], 'nothing waits without a concurrency')
})

for (const group of ['', 1, null] as any[]) {
  t.test(`the group ${JSON.stringify(group)} of addTask and of onIdle is refused`, async (t) => {
    const app = await readyApp(t)
    t.throws(() => app.addTask(ignoresSignal, { group }), { code: 'FST_ERR_TASK_INVALID_OPTION' })
    await t.rejects(app.tasks.onIdle(group), { code: 'FST_ERR_TASK_INVALID_ARGUMENT' })
    t.equal(app.tasks.size, 0)
  })
}

t.test("each queued task runs in its caller's async context", async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const app = await appWithTasks(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const add = (id: string) => storage.run(id, () => app.addTask(async () => {
    await nextTurn()
    return storage.getStore()
  }, { group: 'a' }))
  const before = ['a', 'b'].map(add)
  await storage.run('the boot', () => app.ready())
  t.same(await Promise.all([...before, ...['c', 'd', 'e'].map(add)]), ['a', 'b', 'c', 'd', 'e'])
})

t.test('a task of a limited group never starts within the end of another', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const order: string[] = []
  app.tasks.on('end', (task) => { order.push(`end ${task.name}`) })
  const first = app.addTask(() => { order.push('first') }, { name: '1', group: 'a' })
  const second = app.addTask(() => { order.push('second') }, { name: '2', group: 'a' })
  first.then(() => { order.push('awaited') })
  await second
  t.same(order, ['first', 'end 1', 'awaited', 'second', 'end 2'])
})

t.test('cancelTasks cancels all that match at once, waits for them, and resolves to their number', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5_000 })
  app.defineTaskGroup('a', { concurrency: 2 })
  const add = (options: TaskOptions) => app.addTask(async (app, task) => await untilAborted(app, task).finally(() => nextTurn()), options)
  const tasks = Array.from({ length: 4 }, () => add({ group: 'a' }))
  const other = app.addTask(untilAborted, { group: 'b' })
  await app.addTask(() => 1, { name: 'ended', group: 'b' })
  await turns()
  const cancelled = app.cancelTasks({ group: 'a' }, 'why')
  t.same(states(tasks), ['cancelling', 'cancelling', 'cancelled', 'cancelled'])
  t.same(tasks.map(({ signal }) => signal.reason), ['why', 'why', 'why', 'why'])
  const joined = app.cancelTasks({ group: 'a', state: 'cancelling' }, 'later')
  t.equal(await cancelled, 4)
  t.equal(await joined, 2)
  t.ok(tasks.every(({ state, signal }) => state === 'cancelled' && signal.reason === 'why'))
  t.equal(other.state, 'running')
  t.equal(await app.cancelTasks({ group: 'a' }), 0)
  t.equal(await app.cancelTasks({ state: 'completed' }), 0, 'what has ended is not cancelled')
})

t.test('cancelTasks names those that have not stopped in one cancelTimeout', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 30 })
  const tasks = ['x', 'y', 'z'].map((name) => app.addTask(name === 'y' ? untilAborted : ignoresSignal, { name }))
  await Promise.all(tasks.map(started))
  const start = performance.now()
  await t.rejects(app.cancelTasks({ state: ['pending', 'running'] }), {
    code: 'FST_ERR_TASK_CANCEL_TIMEOUT', tasks: ['x', 'z'], message: '2 tasks are still running 30 ms after they were cancelled'
  })
  t.ok(performance.now() - start < 1_000)
  t.same(states(tasks), ['cancelling', 'cancelled', 'cancelling'])
  await t.rejects(app.cancelTasks({ prefix: 'x' }), { tasks: ['x'], message: "Task 'x' is still running 30 ms after it was cancelled" })
  await t.rejects(app.cancelTask('x'), { tasks: ['x'] } as any)
})

t.test('onIdle resolves when no task is live, including those added meanwhile, and at once if there is none', async (t) => {
  const app = await readyApp(t)
  await app.tasks.onIdle()
  await app.tasks.onIdle('a')
  const { gates, work } = gate()
  app.addTask(work, { group: 'a' })
  app.addTask(work, { group: 'b' })
  const idle: string[] = []
  const waits = [
    app.tasks.onIdle('a').then(() => idle.push('a')), app.tasks.onIdle('a').then(() => idle.push('a again')), app.tasks.onIdle().then(() => idle.push('all'))
  ]
  await turns()
  const last = app.addTask(work, { group: 'a' })
  gates[0].open()
  await turns()
  t.same(idle, [])
  // The continuation of the last one adds another.
  const chained = last.then(() => app.addTask(work, { group: 'a' }).then(() => {}))
  gates[2].open()
  await turns()
  t.same(idle, [])
  gates[3].open()
  await chained
  await turns()
  t.same(idle, ['a', 'a again'])
  gates[1].open()
  await Promise.all(waits)
  t.same(idle, ['a', 'a again', 'all'])
  t.equal(app.tasks.live, 0)
})

t.test('onIdle of all tasks counts one that is added by what awaited the last', async (t) => {
  const app = await readyApp(t)
  const { gates, work } = gate()
  const first = app.addTask(work)
  let idle = false
  const wait = app.tasks.onIdle().then(() => { idle = true })
  first.then(() => { app.addTask(work) })
  await turns()
  gates[0].open()
  await turns()
  t.notOk(idle)
  gates[1].open()
  await wait
})

t.test('a group that is empty for a moment and then used again is not removed', async (t) => {
  const app = await readyApp(t)
  const first = app.addTask(ignoresSignal, { name: 'a', group: 'a' })
  const idle = app.tasks.onIdle('a')
  first.cancel()
  await nextTurn()
  const second = app.addTask(ignoresSignal, { name: 'a', group: 'a' })
  await idle
  await turns()
  t.ok(app.getTasks({ group: 'a' })[0] === second)
})

t.test('a group without limits goes with its last task, and one with limits stays', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('limited', { concurrency: 1 })
  for (const group of ['a', 'limited']) await app.addTask(() => 1, { name: group, group })
  t.same(await groupsOf(app), ['limited', 'a'])
  app.purgeTasks()
  t.same(await groupsOf(app), ['limited'])
  t.throws(() => app.defineTaskGroup('limited'), { code: 'FST_ERR_TASK_GROUP_ALREADY_DEFINED' })
  app.addTask(() => 1, { group: 'a' })
  await app.tasks.onIdle('a')
  t.same(await groupsOf(app), ['limited'], 'once nobody waits for it any more')
})

t.test('a wait for a group that has gone leaves the next one of its name alone', async (t) => {
  const app = await readyApp(t)
  await app.addTask(() => 1, { name: 'kept', group: 'a' })
  const idle = app.tasks.onIdle('a')
  app.purgeTasks()
  app.addTask(ignoresSignal, { name: 'next', group: 'a' })
  await idle
  t.same(app.getTasks({ group: 'a' }).map(({ name }) => name), ['next'])
})

t.test('onIdle counts pending tasks, and those that a listener of end adds', async (t) => {
  const app = await appWithTasks(t)
  let more = 2
  app.tasks.on('end', () => { if (more-- > 0) app.addTask(() => 1) })
  app.addTask(() => 1)
  let idle = false
  const wait = app.tasks.onIdle().then(() => { idle = true })
  await turns()
  t.notOk(idle)
  await app.ready()
  await wait
  t.equal(more, -1)
})

t.test('live counts the live tasks', async (t) => {
  const app = await readyApp(t)
  t.equal(app.tasks.live, 0)
  const task = app.addTask(ignoresSignal, { name: 'a' })
  t.equal(app.tasks.live, 1)
  await started(task)
  task.cancel()
  t.equal(app.tasks.live, 1, 'while it is cancelling')
  await app.addTask(() => 1, { name: 'b' })
  t.equal(app.tasks.live, 1)
  t.equal(app.tasks.size, 2)
})

t.test('a listener may cancel the group, add to it and purge while tasks of it end', async (t) => {
  const app = await readyApp(t)
  app.defineTaskGroup('a', { concurrency: 1 })
  const tasks = Array.from({ length: 5 }, (_, i) => app.addTask(() => i, { name: `${i}`, group: 'a' }))
  app.tasks.once('end', () => {
    app.cancelTasks({ group: 'a', prefix: '1' })
    app.purgeTasks()
    app.addTask(() => 'again', { name: '0', group: 'a' })
  })
  await app.tasks.onIdle('a')
  t.same(states(tasks), ['completed', 'cancelled', 'completed', 'completed', 'completed'])
  t.equal(app.getTask('0')!.result, 'again')
})

t.test('20,000 pending tasks of a group are started and cancelled, from the middle too', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 60_000 })
  app.defineTaskGroup('a', { concurrency: 10 })
  const tasks = Array.from({ length: 20_000 }, () => app.addTask(() => 1, { group: 'a' }))
  for (let i = 100; i < 10_000; i++) tasks[i].cancel()
  await app.tasks.onIdle('a')
  t.equal(tasks.filter(({ state }) => state === 'completed').length, 10_100)
  t.equal(app.tasks.size, 0)
  await ended(tasks[0])
})
