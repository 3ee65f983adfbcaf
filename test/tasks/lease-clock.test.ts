import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { LeaseClocks, type Lease } from '../../lib/tasks/lease-clock'
import { LinkedNode } from '../../lib/tasks/linked-list'
import { appWithTasks, ended, ignoresSignal, readyApp, started, untilAborted } from '../fixtures/app'
import { FakeTime } from '../fixtures/fake-time'

function fakeTime (t: Test): FakeTime {
  const time = new FakeTime()
  t.teardown(time.restore)
  return time
}

const clocks = new LeaseClocks<() => void>((onExpire) => onExpire())

/** A lease that has started. */
function startLease (ttl: number, onExpire: () => void): Lease<() => void> {
  const lease = clocks.lease(ttl, onExpire)
  lease.start()
  return lease
}

function block (ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

t.test('a task that misses its heartbeat is cancelled as expired, not before its ttl', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { name: 'a', ttl: 60 })
  await started(task)
  const start = performance.now()
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_EXPIRED', name: 'AbortError', cause: { code: 'FST_ERR_TASK_EXPIRED' } })
  t.ok(performance.now() - start >= 59)
  t.equal(task.state, 'cancelled')
  t.equal(task.heartbeat(), false)
})

t.test('heartbeats keep a task alive for longer than its ttl', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { ttl: 40 })
  await started(task)
  for (let i = 0; i < 12; i++) {
    await delay(10)
    t.ok(task.heartbeat())
  }
  t.equal(task.state, 'running')
  await ended(task)
  t.equal(task.state, 'cancelled')
})

t.test('the lease runs from the start, not while the task is pending', async (t) => {
  const app = await appWithTasks(t)
  const task = app.addTask(() => 'in time', { ttl: 5 })
  t.ok(task.heartbeat())
  t.same(task.toJSON().lease, { ttl: 5, remaining: 5 })
  await delay(40)
  await app.ready()
  t.equal(await task, 'in time')
})

t.test('the snapshot has the remaining time of the lease', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { ttl: 300 })
  await started(task)
  const { remaining } = task.toJSON().lease!
  t.ok(remaining > 200 && remaining <= 300)
  while (task.toJSON().lease!.remaining > 200) await delay(5)
  task.heartbeat()
  t.equal(task.toJSON().lease!.remaining, 300)
  task.cancel()
  await ended(task)
  t.equal(task.toJSON().lease, undefined)
})

t.test('an expired lease of a task that ignores its signal leaves it cancelling, its name taken', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(ignoresSignal, { name: 'stuck', ttl: 5 })
  while (!task.signal.aborted) await delay(2)
  t.equal(task.state, 'cancelling')
  t.throws(() => app.addTask(ignoresSignal, { name: 'stuck' }), { code: 'FST_ERR_TASK_NAME_IN_USE' })
})

t.test('leases of many lengths expire each at its time, and a task that has ended expires no more', async (t) => {
  const app = await readyApp(t)
  const order: string[] = []
  app.tasks.on('end', (task) => order.push(`${task.name} ${task.state}`))
  app.addTask(untilAborted, { name: 'long', ttl: 250 })
  app.addTask(untilAborted, { name: 'short', ttl: 40 })
  app.addTask(untilAborted, { name: 'short too', ttl: 40 })
  app.addTask(() => 1, { name: 'done', ttl: 1 })
  await ended(app.getTask('long')!)
  t.same(order, ['done completed', 'short cancelled', 'short too cancelled', 'long cancelled'])
})

t.test('a lease may end twice', async (t) => {
  let expiries = 0
  const lease = startLease(5, () => { expiries++ })
  lease.end()
  lease.end()
  await delay(30)
  t.equal(expiries, 0)
})

t.test('heartbeats over new HTTP connections that queued behind a blocked loop keep the lease', async (t) => {
  const app = await readyApp(t)
  // A process of its own could not be told from this one's stall: the client's bytes wait in the kernel meanwhile.
  const server = http.createServer((_request, response) => { response.end(String(app.getTask('leased')!.heartbeat())) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const task = app.addTask(untilAborted, { name: 'leased', ttl: 100 })
  await started(task)
  for (let i = 0; i < 3; i++) {
    const request = http.get({ port, host: '127.0.0.1', agent: false })
    // The request's own steps need turns of this loop: connect, then send.
    await once(request, 'socket')
    block(250)
    const [response] = await once(request, 'response')
    const [body] = await once(response, 'data')
    t.equal(String(body), 'true')
    t.equal(task.state, 'running')
  }
})

t.test('heartbeats over a WebSocket that queued behind a blocked loop keep the lease', async (t) => {
  const app = await appWithTasks(t)
  await app.register(websocket)
  const beats: boolean[] = []
  app.get('/lease', { websocket: true }, (socket) => {
    const task = app.addTask(untilAborted, { name: 'leased', ttl: 100 })
    socket.on('message', () => { beats.push(task.heartbeat()) })
    socket.send('ready')
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = new WebSocket(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/lease`)
  t.teardown(() => client.terminate())
  await once(client, 'message')
  const task = app.getTask('leased')!
  await started(task)
  for (const i of [1, 2, 3]) {
    // Written to the socket at once, read after the stall.
    await new Promise(resolve => client.send('beat', resolve))
    block(250)
    while (beats.length < i && task.state === 'running') await delay(1)
    t.equal(task.state, 'running')
  }
  t.same(beats, [true, true, true])
  client.terminate()
  await ended(task)
  t.equal((task.error as { code: string }).code, 'FST_ERR_TASK_EXPIRED')
})

t.test('a lease that is not renewed expires after the stall', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { ttl: 30 })
  await started(task)
  block(100)
  t.equal(task.state, 'running')
  await ended(task)
  t.equal(task.state, 'cancelled')
})

// A ttl of 800 ms is counted in ticks of 25 ms.

t.test('ticks that are late by less than a tick make a lease neither early nor late', async (t) => {
  const time = fakeTime(t)
  let expiredAt = 0
  const lease = startLease(800, () => { expiredAt = time.now })
  while (time.now < 2_000) time.stall(10)
  t.ok(expiredAt >= 800 && expiredAt <= 900, `${expiredAt} ms`)
  t.ok(LinkedNode.isUnlinked(lease))
})

for (const late of [25, 26, 1_000]) {
  t.test(`a blockage that makes a tick ${late} ms late counts as that tick alone`, async (t) => {
    const time = fakeTime(t)
    const lease = startLease(800, () => t.fail('it expired'))
    time.stall(25 + late)
    await time.pass(24, () => t.equal(lease.remaining, 775))
    await time.pass(1, () => t.equal(lease.remaining, 750))
    lease.end()
  })
}

t.test('a lease that began before a late tick was counted does not expire by a stall that begins within its ttl', async (t) => {
  const time = fakeTime(t)
  const first = startLease(800, () => {})
  await time.pass(10, () => {})
  let expired = false
  // It begins 30 ms after the clock: its first tick was due 5 ms before.
  time.now += 20
  startLease(800, () => { expired = true })
  time.stall(0)
  await time.pass(799, () => {})
  time.stall(24)
  t.notOk(expired, 'a heartbeat may wait behind the stall')
  await time.pass(100, () => {})
  t.ok(expired)
  t.ok(LinkedNode.isUnlinked(first))
})

t.test('a short lease is counted in shorter ticks', async (t) => {
  const time = fakeTime(t)
  let expiredAt = 0
  startLease(64, () => { expiredAt = time.now })
  await time.pass(200, () => {})
  t.ok(expiredAt >= 64 && expiredAt <= 64 + 4 * 2, `${expiredAt} ms`)
})

t.test('a lease that is ended again leaves the clock of the others running', async (t) => {
  const time = fakeTime(t)
  let expired = false
  const lease = startLease(800, () => t.fail('it expired'))
  startLease(800, () => { expired = true })
  lease.end()
  lease.end()
  await time.pass(1_000, () => {})
  t.ok(expired)
})

t.test('leases of about the same length share a timer, and none is left', async (t) => {
  const time = fakeTime(t)
  const leases = [800, 1_000, 60_000].map((ttl) => startLease(ttl, () => t.fail('it expired')))
  t.equal(time.timers.size, 1)
  for (const lease of leases) lease.end()
  t.equal(time.timers.size, 0)
})

t.test('a lease that has not started has all of its ttl left, whatever others have spent', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { ttl: 800 })
  await started(task)
  while (task.toJSON().lease!.remaining > 700) await delay(5)
  t.same(app.addTask(untilAborted, { ttl: 800 }).toJSON().lease, { ttl: 800, remaining: 800 })
})
