'use strict'
const assert = require('node:assert/strict')
const { once } = require('node:events')
const Fastify = require('fastify')
const { WebSocket } = require('ws')
const fastifyTasks = require('fastify-tasks')
const routes = require('fastify-tasks/routes')
const feed = require('fastify-tasks/feed')
const dashboard = require('fastify-tasks/dashboard')

assert.equal(fastifyTasks, fastifyTasks.default)
assert.equal(fastifyTasks, fastifyTasks.fastifyTasks)

module.exports = async function consume () {
  const app = Fastify()
  await app.register(fastifyTasks, { cancelTimeout: 1000, closeTimeout: 50 })
  await app.register(require('@fastify/websocket'))
  await app.register(routes, { prefix: '/tasks', onRequest: [] })
  await app.register(feed, { prefix: '/feed', onRequest: [] })
  await app.register(dashboard, { prefix: '/dashboard', onRequest: [] })

  const order = []
  const early = app.addTask(() => { order.push('task') }, { name: 'early' })
  app.addHook('onReady', async () => { order.push('hook') })
  await app.ready()
  await early
  assert.deepEqual(order, ['hook', 'task'])
  assert.equal(await app.addTask(async () => 42), 42)

  const untilAborted = (app, { signal }) => new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  app.addTask(untilAborted, { name: 'long' })
  assert.throws(() => app.addTask(() => {}, { name: 'long' }), { code: 'FST_ERR_TASK_NAME_IN_USE' })
  assert.equal((await app.inject('/tasks/long')).json().name, 'long')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/feed`)
  const [message] = await once(socket, 'message')
  assert.equal(JSON.parse(message).task.name, 'long')
  socket.close()
  await once(socket, 'close')
  assert.equal(await app.cancelTask('long'), true)
  assert.equal(app.getTask('long').state, 'cancelled')
  const leased = app.addTask(untilAborted, { ttl: 20 })
  await assert.rejects(async () => await leased, { code: 'FST_ERR_TASK_EXPIRED' })
  const page = await (await fetch(`${url}/dashboard/`)).text()
  for (const [, asset] of page.matchAll(/(?:src|href)="([\w./-]+)"/g)) assert.equal((await fetch(`${url}/dashboard/${asset}`)).status, 200, asset)
  assert.equal(app.purgeTasks(), 2)

  const last = app.addTask(untilAborted, { name: 'last' })
  const waits = app.addTask(async () => 'done', { name: 'waits', onClose: 'wait' })
  await new Promise((resolve) => setImmediate(resolve))
  await app.close()
  assert.equal(last.state, 'cancelled')
  assert.equal(last.error.code, 'FST_ERR_TASK_CANCELLED')
  assert.equal(waits.result, 'done')
  assert.throws(() => app.addTask(() => {}), { code: 'FST_ERR_TASKS_CLOSED' })
}

if (require.main === module) module.exports()
