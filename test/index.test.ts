import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import fastifyTasks, { errors, fastifyTasks as named, type Task } from '../index'
import { appWithTasks, ignoresSignal, ended, logged, readyApp, started, untilAborted } from './fixtures/app'

t.test('the plugin is the default export and a named one', async (t) => {
  t.equal(fastifyTasks, named)
  t.equal(fastifyTasks.default, named)
  t.type(errors.FST_ERR_TASKS_CLOSED, 'function')
})

t.test('registration decorates the app with the five members', async (t) => {
  const app = await appWithTasks(t)
  for (const member of ['addTask', 'getTask', 'cancelTask', 'purgeTasks', 'tasks']) t.ok(app.hasDecorator(member), member)
  t.ok(app.hasPlugin('fastify-tasks'))
})

t.test("registering twice in one scope fails with Fastify's own error", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(fastifyTasks)
  app.register(fastifyTasks)
  await t.rejects(Promise.resolve(app.ready()), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

t.test('sibling scopes have registries of their own', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const tasks: Task[] = []
  for (const result of ['left', 'right']) {
    app.register(async (scope) => {
      await scope.register(fastifyTasks)
      tasks.push(scope.addTask(() => result, { name: 'same' }))
    })
  }
  await app.ready()
  t.same(await Promise.all(tasks), ['left', 'right'])
  t.notOk(app.hasDecorator('addTask'))
})

t.test('a registry in a child waits for the onReady hooks of the other children too', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const order: string[] = []
  let task: Task | undefined
  app.register(async (child) => {
    await child.register(fastifyTasks)
    task = child.addTask(() => { order.push('task') })
  })
  app.register(async (child) => { child.addHook('onReady', async () => { await delay(5); order.push('hook') }) })
  await app.ready()
  await task
  t.same(order, ['hook', 'task'])
})

t.test('an encapsulated child sees its own decorators in its tasks, and shares the registry', async (t) => {
  const app = await appWithTasks(t)
  let task: Task | undefined
  await app.register(async (child) => {
    child.decorate('secret', 42)
    task = child.addTask(function (app) { return [this === child, app === child, Reflect.get(app, 'secret')] }, { name: 'childs' })
  })
  await app.ready()
  t.same(await task, [true, true, 42])
  t.equal(app.getTask('childs'), task)
})

t.test('tasks added before ready are pending and start after every onReady hook, in the order added', async (t) => {
  const app = await appWithTasks(t)
  const order: string[] = []
  const tasks = ['a', 'b', 'c'].map((name) => app.addTask(() => { order.push(name) }, { name }))
  app.addHook('onReady', async () => { await delay(5); order.push('hook') })
  app.register(async (child) => {
    child.addHook('onReady', async () => { await nextTurn(); order.push("child's hook") })
  })
  t.ok(tasks.every(({ state }) => state === 'pending'))
  t.equal(app.getTask('a'), tasks[0])
  await app.ready()
  await Promise.all(tasks)
  t.same(order, ['hook', "child's hook", 'a', 'b', 'c'])
})

t.test('a task added by an onReady hook or before ready may be cancelled and never starts', async (t) => {
  const app = await appWithTasks(t)
  const task = app.addTask(() => t.fail('the function was called'), { name: 'a' })
  app.addHook('onReady', async () => { t.equal(await app.cancelTask('a'), true) })
  await app.ready()
  await nextTurn()
  t.equal(task.state, 'cancelled')
})

t.test('a task added by a task that waited for ready starts after those added before it', async (t) => {
  const app = await appWithTasks(t)
  const order: string[] = []
  app.addTask((app) => { order.push('first'); app.addTask(() => { order.push('third') }, { name: 'third' }) })
  const second = app.addTask(() => { order.push('second') })
  await app.ready()
  await second
  await ended(app.getTask('third')!)
  t.same(order, ['first', 'second', 'third'])
})

for (const [place, options] of [['an onReady hook', {}], ['a plugin', {}], ['an onReady hook, while waiting tasks want to finish', { onClose: 'wait' }]] as const) {
  t.test(`a boot that fails in ${place} starts nothing, and close cancels what is pending`, async (t) => {
    const app = await appWithTasks(t, { closeTimeout: 60_000 })
    const task = app.addTask(() => t.fail('the function was called'), { name: 'a', ...options })
    if (place === 'a plugin') app.register(async () => { throw new Error('boot') })
    else app.addHook('onReady', async () => { throw new Error('boot') })
    await t.rejects(Promise.resolve(app.ready()), { message: 'boot' })
    await nextTurn()
    t.equal(task.state, 'pending')
    await app.close()
    t.equal(task.state, 'cancelled')
    await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', cause: { code: 'FST_ERR_TASKS_CLOSED' } })
  })
}

t.test('a pending task that is awaited before the app is ready is logged at warn, once and by name', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, {}, { logger, pluginTimeout: 200 })
  app.addHook('onReady', async () => { await app.addTask(() => 1, { name: 'awaited too early' }) })
  await t.rejects(Promise.resolve(app.ready()), { message: /timed out|timeout/i })
  t.match(lines, [{ level: 40, task: 'awaited too early', msg: /^Task is awaited before the app is ready/ }])
  t.equal(lines.length, 1)
})

t.test('a task that is added and awaited right after ready logs nothing', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, {}, { logger })
  await app.ready()
  t.equal(await app.addTask(() => 1).then((result) => result + 1), 2)
  t.same(lines, [])
})

t.test('awaiting a task that runs, or of an app that is ready, logs nothing', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, {}, { logger })
  await app.addTask(Promise.resolve(1))
  app.addTask(() => 1)
  await app.ready()
  await app.addTask(() => 1)
  t.same(lines, [])
})

t.test('close before ready cancels what is pending', async (t) => {
  const app = await appWithTasks(t)
  const task = app.addTask(() => t.fail('the function was called'))
  await app.close()
  t.equal(task.state, 'cancelled')
})

t.test('the reply of a route that adds a task goes first', async (t) => {
  const app = await appWithTasks(t)
  const order: string[] = []
  app.addHook('onResponse', async () => { order.push('replied') })
  app.post('/', (_request, reply) => {
    const task = app.addTask(() => { order.push('task') }, { name: 'a' })
    reply.code(202).send({ task: task.name })
  })
  const reply = await app.inject({ method: 'POST', url: '/' })
  t.equal(reply.statusCode, 202)
  t.same(reply.json(), { task: 'a' })
  await ended(app.getTask('a')!)
  t.same(order, ['replied', 'task'])
})

t.test('a route that returns a task replies with its result', async (t) => {
  const app = await appWithTasks(t)
  app.get('/', () => app.addTask(async () => ({ done: true })))
  app.get('/in-use', async () => {
    app.addTask(ignoresSignal, { name: 'taken' })
    app.addTask(ignoresSignal, { name: 'taken' })
  })
  t.same((await app.inject('/')).json(), { done: true })
  const conflict = await app.inject('/in-use')
  t.equal(conflict.statusCode, 409)
  t.equal(conflict.json().code, 'FST_ERR_TASK_NAME_IN_USE')
})

t.test('close cancels tasks with the reason closed, and adds none from then on', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted)
  await started(task)
  await app.close()
  t.equal(task.state, 'cancelled')
  t.ok(task.signal.reason instanceof errors.FST_ERR_TASKS_CLOSED)
  t.throws(() => app.addTask(() => t.fail('the function was called')), { code: 'FST_ERR_TASKS_CLOSED', statusCode: 503 })
})

t.test("close waits for the tasks with onClose 'wait', and cancels the others at once", async (t) => {
  const app = await readyApp(t, { closeTimeout: 60_000 })
  const order: string[] = []
  app.tasks.on('end', (task) => order.push(`${task.name} ${task.state}`))
  const waits = app.addTask(async () => { await ended(other); await delay(5); return 'finished' }, { name: 'waits', onClose: 'wait' })
  const other = app.addTask(untilAborted, { name: 'other', onClose: 'cancel' })
  await Promise.all([started(waits), started(other)])
  await app.close()
  t.equal(waits.result, 'finished')
  t.same(order, ['other cancelled', 'waits completed'])
})

t.test("a task with onClose 'wait' is cancelled after closeTimeout, and one that ignores its signal is named at warn", async (t) => {
  const { lines, logger } = logged('warn')
  const app = await readyApp(t, { closeTimeout: 20, cancelTimeout: 20 }, { logger })
  const waits = app.addTask(untilAborted, { onClose: 'wait' })
  const still = app.addTask(ignoresSignal, { name: 'stuck', onClose: 'wait' })
  await Promise.all([started(waits), started(still)])
  await app.close()
  t.equal(waits.state, 'cancelled')
  t.equal(still.state, 'cancelling')
  t.same(lines.map(({ level, task, msg }) => [level, task, msg]), [[40, 'stuck', 'Task is still running after the app was closed: stuck']])
  t.ok(lines[0].age! >= 39 && lines[0].age! <= Date.now() - still.createdAt)
})

t.test('closeTimeout is not waited for if the only task left ignores its signal', { timeout: 10_000 }, async (t) => {
  const app = await readyApp(t, { closeTimeout: 60_000, cancelTimeout: 5 })
  const task = app.addTask(ignoresSignal)
  await started(task)
  await app.close()
  t.equal(task.state, 'cancelling')
})

t.test("if a request holds up close, tasks are cancelled after closeTimeout, except those with onClose 'wait'", async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 200 })
  let finish = (_result: string): void => {}
  app.addHook('onClose', async () => {
    await ended(other)
    t.equal(other.state, 'cancelled')
    t.equal(waits.state, 'running')
    t.throws(() => app.addTask(ignoresSignal), { code: 'FST_ERR_TASKS_CLOSED' })
    finish('finished')
  })
  await app.ready()
  const waits = app.addTask(() => new Promise<string>((resolve) => { finish = resolve }), { onClose: 'wait' })
  const other = app.addTask(untilAborted)
  await Promise.all([started(waits), started(other)])
  await app.close()
  t.equal(waits.result, 'finished')
})

t.test('a task is stopped before the plugins that were registered earlier close', async (t) => {
  const app = Fastify()
  const order: string[] = []
  app.addHook('onClose', async () => { order.push('what the tasks use closed') })
  await app.register(fastifyTasks)
  app.addHook('onClose', async () => { order.push('registered later closed') })
  await app.ready()
  const task = app.addTask(untilAborted)
  await started(task)
  app.tasks.on('end', () => order.push('task ended'))
  await app.close()
  t.same(order, ['registered later closed', 'task ended', 'what the tasks use closed'])
})

t.test('a task may close the app', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(async (app) => { await app.close() }, { name: 'closer' })
  await started(task)
  await app.close()
  await ended(task)
  t.equal(task.state, 'cancelled')
})

t.test('requests in flight that wait for a task end closeTimeout after closing began', async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 30 })
  app.get('/', () => app.addTask(untilAborted, { name: 'awaited' }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const reply = fetch(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`, { headers: { connection: 'close' } })
  while (app.getTask('awaited')?.state !== 'running') await delay(1)
  const closed = app.close()
  const response = await reply
  t.equal(response.status, 503)
  t.equal((await response.json() as { code: string }).code, 'FST_ERR_TASK_CANCELLED')
  await closed
  t.equal(app.getTask('awaited')?.state, 'cancelled')
})

t.test('a request that waits for a task that does not stop keeps the app from closing, which is logged', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, { closeTimeout: 30 }, { logger })
  let finish = (): void => {}
  const done = new Promise<void>((resolve) => { finish = resolve })
  app.get('/', () => app.addTask(() => done, { name: 'stuck' }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const reply = fetch(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`, { headers: { connection: 'close' } })
  while (app.getTask('stuck')?.state !== 'running') await delay(1)
  const closed = app.close()
  while (lines.length === 0) await delay(1)
  t.match(lines, [{ level: 40, task: 'stuck', age: Number, msg: /^Task is still running; a request waiting for it may delay/ }])
  finish()
  t.equal((await reply).status, 503)
  await closed
  t.equal(lines.filter(({ task }) => task === 'stuck').length, 1)
})

t.test('a task that does not stop is logged once, though it was cancelled before closing came to it', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, { closeTimeout: 5, cancelTimeout: 60 }, { logger })
  app.addHook('onClose', () => delay(30))
  await app.ready()
  await started(app.addTask(ignoresSignal, { name: 'stuck' }))
  await app.close()
  t.match(lines, [{ task: 'stuck', msg: 'Task is still running after the app was closed' }])
  t.equal(lines.length, 1)
})

t.test('300 WebSocket clients with a task each leave nothing behind when they are cut off', async (t) => {
  const clients = 300
  const app = await appWithTasks(t)
  await app.register(websocket)
  let id = 0
  app.get('/feed', { websocket: true }, (socket) => {
    const receiver = app.addTask(async (app, task) => {
      socket.send('ready')
      await untilAborted(app, task)
    }, { name: `receiver:${++id}` })
    socket.on('close', () => receiver.cancel())
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const sockets = Array.from({ length: clients }, () => new WebSocket(`ws://127.0.0.1:${port}/feed`))
  t.teardown(() => sockets.forEach((socket) => socket.terminate()))
  await Promise.all(sockets.map((socket) => once(socket, 'message')))
  t.equal(app.tasks.size, clients)
  t.ok([...app.tasks].every(({ state }) => state === 'running'))
  sockets.forEach((socket, i) => i % 2 === 0 ? socket.terminate() : socket.close())
  await Promise.all(Array.from(app.tasks, ended))
  t.ok([...app.tasks].every(({ state }) => state === 'cancelled'))
  t.equal(app.purgeTasks(), clients)
  t.equal(app.tasks.size, 0)
})
