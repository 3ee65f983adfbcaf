import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { mock } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import tasksFeed from '../../lib/control/feed'
import { kJobsControlBackend, type ControlBackend, type LiveEntry } from '../../lib/shared/control-backend'
import { appWithTasks, listen, type LogLine, untilAborted } from '../fixtures/app'

const HANDSHAKE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']

/** A client that says hello and reads nothing until it is resumed. Its own buffer is small. */
function stall (t: Test, address: string, query = ''): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host).pause()
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write([`GET /feed${query} HTTP/1.1`, ...HANDSHAKE, `Host: ${address}`, '', ''].join('\r\n'))
  return socket
}

/** A client that reads, and what it was sent. */
async function join (t: Test, address: string, query = ''): Promise<{ socket: WebSocket, messages: any[], until: (enough: () => boolean) => Promise<void> }> {
  const socket = new WebSocket(`ws://${address}/feed${query}`)
  t.teardown(() => socket.terminate())
  const messages: any[] = []
  socket.on('message', (data) => messages.push(JSON.parse(String(data))))
  await once(socket, 'open')
  return { socket, messages, async until (enough) { while (!enough()) await wait(1) } }
}

async function feedApp (t: Test, options: object = {}): Promise<{ app: FastifyInstance, address: string, drops: LogLine[] }> {
  const drops: LogLine[] = []
  const stream = { write: (line: string) => { if (line.includes('was dropped')) drops.push(JSON.parse(line)) } }
  const app = await appWithTasks(t, {}, { logger: { level: 'info', stream } })
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [], ...options })
  return { app, address: await listen(app), drops }
}

const immediate = async (): Promise<void> => { await new Promise((resolve) => setImmediate(resolve)) }
const until = async (condition: () => boolean): Promise<void> => { while (!condition()) await wait(2) }

t.test('a client gets each live task once, however many they are and whatever happens meanwhile', async (t) => {
  const { app, address } = await feedApp(t)
  const old = Array.from({ length: 3_000 }, (_, i) => app.addTask(untilAborted, { name: `old-${i}` }))
  await immediate()
  const client = await join(t, address)
  for (let i = 0; i < 300; i++) {
    old[i * 7].updateProgress(i % 100)
    app.addTask(untilAborted, { name: `new-${i}` })
    if (i % 3 === 0) old[i * 9].cancel()
    if (i % 10 === 0) await immediate()
  }
  const live = new Map<string, boolean>()
  await client.until(() => {
    live.clear()
    for (const { event, task } of client.messages) live.set(`${task.name} ${task.createdAt}`, event !== 'end')
    return [...live.values()].filter(Boolean).length === app.tasks.live
  })
  const snapshots = client.messages.filter(({ event }) => event === 'snapshot').map(({ task }) => task.name)
  t.equal(new Set(snapshots).size, snapshots.length, 'none twice')
})

t.test('snapshots come in the order added', async (t) => {
  const { app, address } = await feedApp(t)
  for (let i = 0; i < 250; i++) app.addTask(untilAborted, { name: `t-${i}` })
  await immediate()
  const client = await join(t, address)
  await client.until(() => client.messages.length === 250)
  t.same(client.messages.map(({ task }) => task.name), Array.from({ length: 250 }, (_, i) => `t-${i}`))
})

t.test('group and prefix narrow what is sent', async (t) => {
  const { app, address } = await feedApp(t)
  const add = (name: string, group?: string): void => { app.addTask(untilAborted, { name, group }) }
  for (let i = 0; i < 2_500; i++) app.addTask(untilAborted)
  add('a-1', 'g'); add('b-1', 'g'); add('a-2')
  await immediate()
  const clients = await Promise.all(['', '?group=g', '?prefix=a-', '?group=g&prefix=a-', '?group=none'].map((query) => join(t, address, query)))
  await clients[0].until(() => clients[0].messages.length === 2_503)
  add('a-3', 'g'); add('b-2', 'g'); add('c-1')
  await clients[0].until(() => clients[0].messages.length === 2_506)
  await until(() => clients[1].messages.length === 4 && clients[3].messages.length === 2)
  t.same(clients.slice(1).map(({ messages }) => messages.map(({ event, task }) => `${event} ${task.name}`)), [
    ['snapshot a-1', 'snapshot b-1', 'start a-3', 'start b-2'],
    ['snapshot a-1', 'snapshot a-2', 'start a-3'],
    ['snapshot a-1', 'start a-3'],
    []
  ])
})

t.test('a message that is larger than maxBuffer reaches a client that reads, before and after events', async (t) => {
  const { app, address, drops } = await feedApp(t, { maxBuffer: 1_000 })
  const large = 'x'.repeat(100_000) + 'é✓'
  const tasks = Array.from({ length: 30 }, (_, i) => app.addTask(untilAborted, { name: `t-${i}` }))
  await immediate()
  for (const task of tasks) task.updateProgress({ large })
  const client = await join(t, address)
  await client.until(() => client.messages.length === 30)
  for (const task of tasks) {
    task.updateProgress({ large })
    await client.until(() => client.messages.length > 30 + tasks.indexOf(task))
  }
  t.ok(client.messages.every(({ task }) => task.progress.large === large))
  t.same(drops, [])
})

t.test('the data that waits is bounded from the first byte, and shared by all clients that do not read', async (t) => {
  const { app, address } = await feedApp(t, { maxBuffer: 64 * 1024 })
  for (let i = 0; i < 200; i++) app.addTask(untilAborted, { name: `t-${i}` })
  await immediate()
  for (const task of app.tasks) task.updateProgress({ large: 'x'.repeat(100_000) })
  await immediate()
  global.gc?.()
  const before = process.memoryUsage().rss
  const clients = Array.from({ length: 40 }, () => stall(t, address))
  await until(() => app.tasks.listenerCount('start') === 1)
  for (let i = 0; i < 50; i++) await wait(10)
  const growth = process.memoryUsage().rss - before
  t.ok(growth < 150 * 2 ** 20, `${Math.round(growth / 2 ** 20)} MiB more for 40 clients of 20 MB each`)
  clients[0].resume()
  await app.close()
})

t.test('a burst of events reaches a client that reads, and drops one that does not', async (t) => {
  const { app, address, drops } = await feedApp(t, { stallTimeout: 600_000 })
  const tasks = Array.from({ length: 4_000 }, (_, i) => app.addTask(untilAborted, { name: `t-${i}` }))
  await immediate()
  for (const task of tasks) task.updateProgress({ text: 'x'.repeat(2_000) })
  const client = await join(t, address)
  await client.until(() => client.messages.length === 4_000)
  stall(t, address)
  await wait(20)
  for (const task of tasks) task.cancel()
  await client.until(() => client.messages.length === 8_000)
  await until(() => drops.length === 1)
  t.match(drops, [{ reason: 'maxBuffer' }])
})

t.test('a client that reads steadily gets the whole list, however long the kernel takes to write again', async (t) => {
  const { app, address, drops } = await feedApp(t, { stallTimeout: 200 })
  const tasks = Array.from({ length: 15_000 }, (_, i) => app.addTask(untilAborted, { name: `t-${i}` }))
  await immediate()
  for (const task of tasks) task.updateProgress({ text: 'x'.repeat(800) })
  const slow = await join(t, address)
  const { _socket: transport } = slow.socket as unknown as { _socket: Socket }
  // One read of 64 KiB at a time: the kernel lets the server write again when a third of its buffer is free, some hundred KiB later.
  transport.on('data', () => transport.pause())
  const reading = setInterval(() => transport.resume(), 15)
  t.teardown(() => clearInterval(reading))
  stall(t, address)
  await until(() => slow.messages.length === 15_000 || slow.socket.readyState !== WebSocket.OPEN)
  t.equal(slow.messages.length, 15_000)
  t.match(drops, [{ reason: 'stallTimeout' }], 'the one that reads nothing')
})

t.test('a client that reads nothing for stallTimeout is dropped, one that reads slowly is not', async (t) => {
  const { app, address, drops } = await feedApp(t, { stallTimeout: 200 })
  for (let i = 0; i < 400; i++) app.addTask(untilAborted, { name: `t-${i}` })
  await immediate()
  for (const task of app.tasks) task.updateProgress({ large: 'x'.repeat(50_000) })
  const slow = stall(t, address)
  const stalled = stall(t, address)
  let received = 0
  const reading = setInterval(() => { received += slow.read(2 ** 20)?.length ?? slow.read()?.length ?? 0 }, 20)
  t.teardown(() => clearInterval(reading))
  await until(() => drops.length > 0)
  t.match(drops, [{ reason: 'stallTimeout' }])
  await until(() => received > 20_000_000)
  t.equal(drops.length, 1)
  t.notOk(slow.destroyed)
  stalled.resume()
  await once(stalled, 'close')
})

t.test('a client that answers no ping within 30 s is dropped, one that does is not', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { app, address, drops } = await feedApp(t)
  const alive = await join(t, address)
  const dead = stall(t, address).resume()
  await until(() => app.tasks.listenerCount('start') === 1)
  await wait(20)
  const pinged = once(alive.socket, 'ping')
  mock.timers.tick(29_000)
  t.same(drops, [])
  mock.timers.tick(1_000)
  await pinged
  await wait(20)
  mock.timers.tick(30_000)
  await until(() => drops.length > 0)
  t.match(drops, [{ reason: 'ping' }])
  await once(dead, 'close')
  t.equal(alive.socket.readyState, WebSocket.OPEN)
})

t.test('a close does not wait for clients that read nothing beside 100,000 tasks', async (t) => {
  const { app, address } = await feedApp(t)
  for (let i = 0; i < 100_000; i++) app.addTask(untilAborted)
  await immediate()
  for (let i = 0; i < 21; i++) stall(t, address)
  await until(() => app.tasks.listenerCount('start') === 1)
  const before = Date.now()
  await app.close()
  t.ok(Date.now() - before < 20_000)
  t.equal(app.tasks.listenerCount('start'), 0)
})

/** A feed of a backend that is told what to do. */
async function backendApp (t: Test, live: ControlBackend['live']) {
  const drops: LogLine[] = []
  const stream = { write: (line: string) => { if (line.includes('was dropped')) drops.push(JSON.parse(line)) } }
  const app = await appWithTasks(t, {}, { logger: { level: 'info', stream } })
  let listener!: Parameters<ControlBackend['subscribe']>[0]
  let onGone!: (process: any) => void
  const exposed: unknown[] = []
  app.decorate(kJobsControlBackend, {
    spansProcesses: true,
    live,
    exposeErrors: () => exposed.push(true),
    subscribe (listen: typeof listener, gone: typeof onGone) {
      listener = listen
      onGone = gone
      return () => {}
    }
  })
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [], serve: 'jobs', exposeErrors: true })
  const address = await listen(app)
  return { app, address, drops, exposed, emit: (...args: Parameters<typeof listener>) => listener(...args), gone: (process: object) => onGone(process) }
}

const entry = (name: string, more: object = {}): LiveEntry => ({ name, createdAt: 1, toJSON: () => ({ name, createdAt: 1, state: 'running', ...more }) })

t.test('jobs and the tasks of other processes are read page by page, and an event is newer than a page', async (t) => {
  const pages: Array<(page: LiveEntry[]) => void> = []
  const { address, emit, gone, exposed } = await backendApp(t, async function * () {
    for (let i = 0; i < 3; i++) yield await new Promise<LiveEntry[]>((resolve) => pages.push(resolve))
  })
  t.same(exposed, [true])
  const process = { id: 'p', pid: 1, hostname: 'h' }
  const client = await join(t, address)
  const filtered = await join(t, address, '?process=p')
  await until(() => pages.length === 2)
  emit('end', entry('a', { state: 'completed', endedAt: 2 }))
  for (const resolve of pages.splice(0)) resolve([entry('a'), entry('b')])
  await until(() => pages.length === 2)
  for (const resolve of pages.splice(0)) resolve([])
  await until(() => pages.length === 2)
  emit('snapshot', entry('c', { process }))
  gone(process)
  gone({ ...process, id: 'q' })
  for (const resolve of pages.splice(0)) resolve([entry('c', { process }), entry('c', { process: { ...process, id: 'q' } }), entry('d')])
  await client.until(() => client.messages.length === 7)
  t.match(client.messages, [
    { event: 'end', task: { name: 'a' } }, { event: 'snapshot', task: { name: 'b' } },
    { event: 'snapshot', task: { name: 'c', process } }, { event: 'gone', process }, { event: 'gone', process: { id: 'q' } },
    { event: 'snapshot', task: { name: 'c', process: { id: 'q' } } }, { event: 'snapshot', task: { name: 'd' } }
  ])
  t.ok(filtered.messages.some(({ event }) => event === 'gone'))
  t.notOk(filtered.messages.some(({ process }) => process?.id === 'q'))
})

t.test('a client whose snapshots cannot be read is dropped, and the error is logged', async (t) => {
  const failures: Array<[string, ControlBackend['live']]> = [
    ['at once', () => { throw new Error('why') }],
    ['while it is read', function * () { yield [entry('a')]; throw new Error('why') }],
    ['later', async function * () { yield [entry('a')]; await immediate(); throw new Error('why') }]
  ]
  for (const [when, live] of failures) {
    const { app, address, drops } = await backendApp(t, live)
    const socket = new WebSocket(`ws://${address}/feed`)
    await once(socket, 'close')
    await until(() => drops.length > 0)
    t.match(drops, [{ reason: 'error', err: { message: 'why' } }], when)
    await app.close()
  }
})

t.test('a client that leaves while a page is read ends the reading', async (t) => {
  let ended = false
  let next!: () => void
  const { address } = await backendApp(t, async function * () {
    try {
      yield [entry('a')]
      await new Promise<void>((resolve) => { next = resolve })
      yield [entry('b')]
    } finally {
      ended = true
      // eslint-disable-next-line no-unsafe-finally
      throw new Error('of no interest')
    }
  })
  const client = await join(t, address)
  await client.until(() => client.messages.length === 1)
  client.socket.terminate()
  await wait(30)
  next()
  await until(() => ended)
  t.equal(client.messages.length, 1)
})

t.test('the error of a wrong option says what is wrong', async (t) => {
  for (const [options, message] of [
    [{ stallTimeout: 0 }, /Option 'stallTimeout' must be an integer from 1/],
    [{ serve: ['tasks'] }, /Option 'serve' must be 'tasks' or 'jobs'/],
    [{ serve: 'jobs' }, /Register fastify-tasks\/jobs before routes, feed or dashboard/]
  ] as const) {
    const app = await appWithTasks(t)
    await t.rejects(Promise.resolve(app.register(tasksFeed, { onRequest: [], ...options } as any)), { message })
  }
})
