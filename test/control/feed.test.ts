import swagger from '@fastify/swagger'
import fastifyWebsocket from '@fastify/websocket'
import { once } from 'node:events'
import { request } from 'node:http'
import Module from 'node:module'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import tasksFeed from '../../lib/control/feed'
import tasksRoutes from '../../lib/control/routes'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'
import { join } from '../fixtures/feed-client'

/** The status with which the server answers a handshake that it refuses. */
function refusal (url: string, options: WebSocket.ClientOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options)
    socket.on('unexpected-response', (_request, response) => {
      response.resume()
      socket.on('error', () => {})
      socket.terminate()
      resolve(response.statusCode!)
    })
    socket.on('open', () => reject(new Error('open')))
  })
}

t.test('a client with ?snapshots=false receives only events', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  await started(app.addTask(untilAborted, { name: 'idle' }))
  const client = await join(`ws://${address}/feed?snapshots=false`)
  app.addTask(untilAborted, { name: 'next' })
  t.match(await client.until(1), [{ event: 'start', task: { name: 'next' } }])
  t.equal((await fetch(`http://${address}/feed?snapshots=x`)).status, 400)
})

t.test('a client receives the live tasks, then the events', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  await app.addTask(() => {}, { name: 'over' })
  await started(app.addTask(untilAborted, { name: 'idle', ttl: 60_000 }))
  const client = await join(`ws://${address}/feed`)
  await client.until(1)
  const task = app.addTask(async (_app, task) => { task.updateProgress(50); throw Object.assign(new Error('password'), { code: 'E_DB' }) }, { name: 'work' })
  await t.rejects(Promise.resolve(task))
  t.match(await client.until(4), [
    { event: 'snapshot', task: { name: 'idle', state: 'running', lease: { ttl: 60_000 } } },
    { event: 'start', task: { name: 'work', state: 'running' } },
    { event: 'progress', task: { name: 'work', progress: 50 } },
    { event: 'end', task: { name: 'work', state: 'failed', error: { code: 'E_DB' } } }
  ])
  t.same(client.messages[3].task.error, { code: 'E_DB' })
  t.equal(client.messages.length, 4)
})

t.test('a client that means another process is told nothing, and one that means this one everything', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  const { id } = (await app.inject('/tasks?summary=true')).json().summary.process
  await started(app.addTask(untilAborted, { name: 'idle' }))
  const [other, own] = await Promise.all(['other', id].map((process) => join(`ws://${address}/feed?process=${process}`)))
  await own.until(1)
  app.addTask(untilAborted, { name: 'next' })
  t.match(await own.until(2), [{ event: 'snapshot', task: { name: 'idle' } }, { event: 'start', task: { name: 'next' } }])
  // Behind all that it would have been sent.
  const ponged = once(other.socket, 'pong')
  other.socket.ping()
  await ponged
  t.same(other.messages, [])
})

t.test('what a client says is ignored, and a message of more than 1,024 bytes ends its connection', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const { socket } = await join(`ws://${await listen(app)}/feed`)
  socket.send('x'.repeat(1_024))
  socket.ping()
  await once(socket, 'pong')
  socket.send('x'.repeat(1_025))
  t.equal((await once(socket, 'close'))[0], 1009)
})

t.test('error messages are sent only with exposeErrors', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [], exposeErrors: true })
  const client = await join(`ws://${await listen(app)}/feed`)
  await Promise.resolve(app.addTask(() => { throw new Error('text') })).catch(() => {})
  t.same((await client.until(2))[1].task.error, { message: 'text' })
})

t.test('many clients share one listener, which is removed with the last', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  t.equal(app.tasks.listenerCount('start'), 0)
  const clients = await Promise.all(Array.from({ length: 5 }, () => join(`ws://${address}/feed`)))
  for (const event of ['start', 'progress', 'end'] as const) t.equal(app.tasks.listenerCount(event), 1)
  await app.addTask(() => {}, { name: 'one' })
  for (const client of clients) t.equal((await client.until(2)).length, 2)
  for (const client of clients) client.socket.close()
  while (app.tasks.listenerCount('start') > 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(app.tasks.listenerCount('end'), 0)
})

t.test('a websocket plugin that the caller registered is used', async (t) => {
  const app = await appWithTasks(t)
  await app.register(fastifyWebsocket)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  await app.ready()
  const socket = await app.injectWS('/feed')
  const message = once(socket, 'message')
  app.addTask(() => {}, { name: 'one' })
  t.match(JSON.parse(String((await message)[0])), { event: 'start', task: { name: 'one' } })
  socket.terminate()
})

t.test('two feeds share a server', async (t) => {
  const app = await appWithTasks(t)
  let handshakes = 0
  const onRequest = async (): Promise<void> => { handshakes++ }
  await app.register(tasksFeed, { prefix: '/a', onRequest })
  await app.register(tasksFeed, { prefix: '/b', onRequest })
  const address = await listen(app)
  const clients = [await join(`ws://${address}/a`), await join(`ws://${address}/b/`)]
  t.equal(handshakes, 2)
  t.equal(app.server.listenerCount('upgrade'), 1)
  await app.addTask(() => {}, { name: 'one' })
  for (const client of clients) t.match(await client.until(2), [{ event: 'start' }, { event: 'end' }])
})

t.test('a foreign origin is refused unless it is allowed', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [], allowedOrigins: ['https://ops.example.com'] })
  const address = await listen(app)
  const url = `ws://${address}/feed`
  for (const origin of ['https://evil.example', `http://${address}.evil.example`, 'null', 'http://127.0.0.1', 'https://ops.example.com.evil.example']) {
    t.equal(await refusal(url, { origin }), 403, origin)
  }
  for (const origin of [undefined, `http://${address}`, 'https://ops.example.com']) {
    const { socket } = await join(url, { origin })
    t.equal(socket.readyState, WebSocket.OPEN, `origin ${origin}`)
  }
})

t.test('the hooks guard the handshake', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, {
    prefix: '/feed',
    onRequest: async (request, reply) => { if (request.headers.authorization !== 'Bearer yes') return reply.code(401).send() }
  })
  const url = `ws://${await listen(app)}/feed`
  t.equal(await refusal(url), 401)
  t.equal((await app.inject('/feed')).statusCode, 401)
  const { socket } = await join(url, { headers: { authorization: 'Bearer yes' } })
  t.equal(socket.readyState, WebSocket.OPEN)
})

t.test('a request without a WebSocket upgrade is answered with 426', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  const plain = await fetch(`http://${address}/feed`)
  t.equal(plain.status, 426)
  t.equal(plain.headers.get('upgrade'), 'websocket')
  t.match(await plain.json(), { code: 'FST_ERR_TASK_UPGRADE_REQUIRED' })
  const [host, port] = address.split(':')
  const [response] = await once(request({ host, port, path: '/feed', headers: { connection: 'upgrade', upgrade: 'h2c' } }).end(), 'response')
  t.equal(response.statusCode, 426)
  t.equal((await fetch(`http://${address}/feed?group=a&group=b`)).status, 400)
})

/** A socket on which the request has been written, as it is. */
function ask (t: Test, address: string, ...lines: string[]): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write([...lines, `Host: ${address}`, '', ''].join('\r\n'))
  return socket
}

const UPGRADE = [
  'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
]

t.test('an upgrade of a route that is not a feed is disconnected', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const socket = ask(t, await listen(app), 'GET /unknown HTTP/1.1', ...UPGRADE).resume()
  await once(socket, 'close')
  t.ok(socket.bytesRead > 0, 'and answered')
})

t.test('a handshake that a hook refuses is disconnected, a plain request is not', async (t) => {
  const app = await appWithTasks(t)
  app.addHook('onRequest', async (_request, reply) => reply.code(401).send())
  await app.register(fastifyWebsocket)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  const handshake = ask(t, address, 'GET /feed HTTP/1.1', ...UPGRADE).resume()
  await once(handshake, 'close')
  const plain = ask(t, address, 'GET /feed HTTP/1.1')
  for (let i = 0; i < 2; i++) {
    t.match(String((await once(plain, 'data'))[0]), /^HTTP\/1\.1 401 /)
    plain.write(`GET /feed HTTP/1.1\r\nHost: ${address}\r\n\r\n`)
  }
})

/** Says hello to the feed and never reads what it answers. */
function stall (address: string) {
  return ask(t, address, 'GET /feed HTTP/1.1', ...UPGRADE).pause()
}

t.test('a client that stops reading is dropped at the bound', async (t) => {
  const app = await appWithTasks(t)
  const maxBuffer = 64 * 1024
  await app.register(fastifyWebsocket)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [], maxBuffer })
  const address = await listen(app)
  stall(address)
  while (app.tasks.listenerCount('start') === 0) await new Promise((resolve) => setImmediate(resolve))
  const [socket] = app.websocketServer.clients
  let most = 0
  let events = 0
  const task = app.addTask(untilAborted, { name: 'idle' })
  await started(task)
  const before = process.memoryUsage().rss
  while (events++ < 100_000) {
    task.updateProgress({ events, padding: 'x'.repeat(200) })
    most = Math.max(most, socket.bufferedAmount)
    if (events % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(most > 0 && most < maxBuffer + 1024, `${most} bytes waited at most`)
  t.equal(app.tasks.listenerCount('progress'), 0, 'it was dropped')
  const growth = process.memoryUsage().rss - before
  t.ok(growth < 100 * 2 ** 20, `${Math.round(growth / 2 ** 20)} MiB more after 100,000 events`)
})

t.test('a client is not dropped for its initial snapshots, however many tasks are live', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [], maxBuffer: 1 })
  const address = await listen(app)
  for (let i = 0; i < 5_000; i++) app.addTask(untilAborted)
  await new Promise((resolve) => setImmediate(resolve))
  const client = await join(`ws://${address}/feed`)
  t.equal((await client.until(5_000)).length, 5_000)
})

t.test('a close does not wait for stalled clients', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const address = await listen(app)
  for (let i = 0; i < 1_000; i++) stall(address)
  const { socket } = await join(`ws://${address}/feed`)
  const gone = once(socket, 'close')
  await app.close()
  await gone
  t.equal(app.tasks.listenerCount('start'), 0)
})

t.test('an upgrade that arrives while the app closes is disconnected, unless another listener takes it', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  // The server listens as long as a hook takes.
  let proceed!: () => void
  const closing = new Promise<void>((resolve) => app.addHook('preClose', (done) => { proceed = done; resolve() }))
  const address = await listen(app)
  const [line, ...rest] = ['GET /feed HTTP/1.1', ...UPGRADE, `Host: ${address}`, '', '']
  const [late, own] = await Promise.all([1, 2].map(async () => {
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    await once(socket, 'connect')
    socket.on('error', () => {}).write(`${line}\r\n`)
    return socket
  }))
  await fetch(`http://${address}/`)
  const closed = app.close()
  await closing
  const hungUp = new Promise((resolve) => late.on('close', resolve).resume())
  late.write(rest.join('\r\n'))
  await hungUp
  app.server.on('upgrade', (_request, socket) => socket.end('mine'))
  own.write(rest.join('\r\n'))
  const [answer] = await once(own, 'data')
  t.equal(String(answer), 'mine')
  own.destroy()
  proceed()
  await closed
})

t.test('the schema of the messages is exported', async (t) => {
  t.same(tasksFeed.messageSchema.properties.event.enum, ['snapshot', 'start', 'progress', 'end', 'gone'])
})

/** Answers for a module instead of Node. */
function replaceModule (t: Test, name: string, answer: () => unknown): void {
  const load = (Module as any)._load
  t.teardown(() => { (Module as any)._load = load });
  (Module as any)._load = function (asked: string, ...rest: unknown[]) {
    return asked === name ? answer() : load.call(this, asked, ...rest)
  }
}

t.test('without @fastify/websocket the registration says what to install', async (t) => {
  replaceModule(t, '@fastify/websocket', () => { throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' }) })
  const app = await appWithTasks(t)
  await t.rejects(Promise.resolve(app.register(tasksFeed, { onRequest: [] })), {
    code: 'FST_ERR_TASK_MISSING_WEBSOCKET', message: /npm install @fastify\/websocket/, cause: { code: 'MODULE_NOT_FOUND' }
  })
})

t.test('with a @fastify/websocket of another range the registration says what to install', async (t) => {
  let version = ''
  replaceModule(t, '@fastify/websocket/package.json', () => ({ version }))
  for (version of ['10.0.1', '11.0.0', '11.2.9', '11.3.1', '12.0.0', '12.3.2']) {
    const app = await appWithTasks(t)
    await t.rejects(Promise.resolve(app.register(tasksFeed, { onRequest: [] })), {
      code: 'FST_ERR_TASK_UNSUPPORTED_WEBSOCKET', message: new RegExp(`got ${version}: npm install @fastify/websocket@\\^11\\.3\\.2$`)
    })
  }
  for (version of ['11.3.2', '11.3.10', '11.4.0', '11.3.2-pre.1']) {
    const app = await appWithTasks(t)
    await app.register(tasksFeed, { onRequest: [] })
    t.ok(app.hasPlugin('fastify-tasks'), version)
  }
})

t.test('wrong options are refused', async (t) => {
  const wrong: Array<[object, string]> = [
    [{}, "fastify-tasks/feed needs the option 'onRequest'"],
    [{ onRequest: [], exposeErrors: 1 }, "Option 'exposeErrors' must be"],
    [{ onRequest: [], allowedOrigins: '*' }, "Option 'allowedOrigins' must be"],
    [{ onRequest: [], allowedOrigins: ['https://ops.example.com/'] }, "Option 'allowedOrigins' must be"],
    [{ onRequest: [], maxBuffer: 0 }, "Option 'maxBuffer' must be a positive integer (bytes), got 0"],
    [{ onRequest: [], maxBuffer: 1.5 }, "Option 'maxBuffer' must be a positive integer (bytes), got 1.5"]
  ]
  for (const [options, message] of wrong) {
    const app = await appWithTasks(t)
    await t.rejects(Promise.resolve(app.register(tasksFeed, options as any)), { message })
  }
})

t.test('the feed requires Fastify 5 and fastify-tasks', async (t) => {
  t.match(Reflect.get(tasksFeed, Symbol.for('plugin-meta')), { name: 'fastify-tasks-feed', fastify: '5.x', dependencies: ['fastify-tasks'] })
})

t.test('the feed is hidden from swagger', async (t) => {
  const app = await appWithTasks(t)
  await app.register(swagger)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  await app.ready()
  t.same(app.swagger().paths, {})
})
