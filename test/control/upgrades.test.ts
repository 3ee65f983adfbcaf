import fastifyWebsocket from '@fastify/websocket'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket, { WebSocketServer } from 'ws'
import tasksFeed from '../../lib/control/feed'
import { Upgrades } from '../../lib/control/feed/upgrades'
import { cert, key } from '../fixtures/certificate'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'

const HANDSHAKE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']

/** A socket on which the request has been written, as it is. */
function ask (t: Test, address: string, lines: string[], body = ''): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write([...lines, `Host: ${address}`, '', body].join('\r\n'))
  return socket
}

async function answer (socket: Socket, until: RegExp): Promise<string> {
  let text = ''
  for await (const data of socket.iterator({ destroyOnReturn: false })) {
    text += data
    if (until.test(text)) return text
  }
  return text
}

const withFeed = async (t: Test, options = {}): Promise<FastifyInstance> => {
  const app = await appWithTasks(t, {}, options)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  return app
}

t.test('over HTTP/2 the URL of the feed replies to every method', async (t) => {
  const app = await withFeed(t, { http2: true })
  const client: ClientHttp2Session = connectHttp2(`http://${await listen(app)}`)
  t.teardown(() => client.destroy())
  const status = async (headers: object): Promise<number> => {
    const stream = client.request({ ':path': '/feed', ...headers })
    stream.on('error', () => {}).resume().end()
    const [response] = await once(stream, 'response')
    return response[':status']
  }
  for (const [method, expected] of [['GET', 426], ['HEAD', 426], ['POST', 404], ['DELETE', 404], ['OPTIONS', 404]] as const) {
    t.equal(await status({ ':method': method }), expected, method)
  }
  t.equal(await status({ ':path': '/feed?group=a', ':method': 'GET' }), 426)
  const reset = client.request({ ':path': '/feed' })
  reset.on('error', () => {}).close(8)
  t.equal(await status({}), 426, 'it goes on')
})

t.test('a request with another upgrade is served as a request, with its body and the requests behind it', async (t) => {
  const app = await withFeed(t)
  app.post('/echo', async (request) => ({ body: request.body, upgrade: request.headers.upgrade }))
  const address = await listen(app)
  const socket = ask(t, address, [
    'POST /echo HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'Content-Type: application/json', 'Content-Length: 9'
  ], '{"a":')
  await wait(20)
  socket.write('"b"}')
  const first = await answer(socket, /\}$/)
  t.match(first, /^HTTP\/1\.1 200 /)
  t.match(first, /\{"body":\{"a":"b"\},"upgrade":"h2c"\}$/)
  for (let i = 0; i < 15; i++) {
    socket.write([
      'POST /echo HTTP/1.1', `Host: ${address}`, 'connection: upgrade', 'upgrade: TLS/1.0', 'Content-Type: application/json', 'Transfer-Encoding: chunked',
      '', '3', '"x"', '0', '', ''
    ].join('\r\n'))
    t.match(await answer(socket, /\}$/), /\{"body":"x","upgrade":"TLS\/1\.0"\}$/)
  }
  await app.close()
})

t.test('two requests with another upgrade in a row are answered in order', async (t) => {
  const app = await withFeed(t)
  app.get('/slow', async () => { await wait(50); return 'slow' })
  app.get('/fast', async () => 'fast')
  const address = await listen(app)
  const upgrade = ['Connection: upgrade', 'Upgrade: h2c']
  const socket = ask(t, address, ['GET /slow HTTP/1.1', `Host: ${address}`, '', 'GET /fast HTTP/1.1', ...upgrade])
  const text = await answer(socket, /fast$/)
  t.match(text, /slow[^]*fast$/)
})

t.test('over TLS a request with another upgrade is served too', async (t) => {
  const app = await withFeed(t, { https: { key, cert } } as object)
  app.post('/echo', async (request) => request.body)
  const [host, port] = (await listen(app)).split(':')
  const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nab')
  t.match(await answer(socket, /ab$/), /^HTTP\/1\.1 200 /)
  const feed = new WebSocket(`wss://${host}:${port}/feed`, { rejectUnauthorized: false })
  await once(feed, 'open')
  const message = once(feed, 'message')
  app.addTask(() => {}, { name: 'one' })
  t.match(JSON.parse(String((await message)[0])), { event: 'start' })
  feed.terminate()
})

t.test('a request whose upgrade another listener takes is left to it', async (t) => {
  const app = await withFeed(t)
  app.server.on('upgrade', (request, socket) => { if (request.headers.upgrade === 'mine') socket.end('taken') })
  const socket = ask(t, await listen(app), ['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: mine'])
  t.equal(await answer(socket, /taken/), 'taken')
})

t.test('a connection that was passed to the server by an event is served too', async (t) => {
  const app = await withFeed(t)
  app.get('/', async () => 'answer')
  await app.ready()
  const [client, server] = duplexPair()
  app.server.emit('upgrade', {
    headers: { upgrade: 'h2c' }, complete: true, method: 'GET', url: '/', httpVersion: '1.1', rawHeaders: ['Host', 'a', 'Upgrade', 'h2c', 'Connection', 'upgrade']
  }, server, Buffer.alloc(0))
  t.match(await answer(client as Socket, /answer$/), /^HTTP\/1\.1 200 /)
  client.destroy()
})

t.test('the connection of a request whose body Node has begun to read, or whose client has left, is closed', async (t) => {
  const app = await withFeed(t)
  await app.ready()
  const socket = (more = {}): any => Object.assign(connect(1).on('error', () => {}), more)
  const headers = { upgrade: 'h2c' }
  const incomplete = socket()
  app.server.emit('upgrade', { headers, complete: false }, incomplete, Buffer.alloc(0))
  t.ok(incomplete.destroyed)
  const gone = socket().destroy()
  app.server.emit('upgrade', { headers, complete: true, rawHeaders: [] }, gone, Buffer.alloc(0))
  t.equal(gone.listenerCount('data'), 0)
})

for (const forceCloseConnections of [undefined, true]) {
  t.test(`an upgrade of a route that never answers does not hold up the close, forceCloseConnections ${forceCloseConnections}`, async (t) => {
    const app = await withFeed(t, { forceCloseConnections })
    let isAsked!: () => void
    const asked = new Promise<void>((resolve) => { isAsked = resolve })
    app.get('/never', () => { isAsked(); return new Promise(() => {}) })
    const socket = ask(t, await listen(app), ['GET /never HTTP/1.1', ...HANDSHAKE]).resume()
    await asked
    const closed = once(socket, 'close')
    await app.close()
    await closed
    t.pass('it was hung up')
  })
}

t.test('an upgrade of a slow route is answered, and its connection then closed', async (t) => {
  const app = await withFeed(t)
  app.get('/slow', async () => { await wait(30); return 'slow' })
  const socket = ask(t, await listen(app), ['GET /slow HTTP/1.1', ...HANDSHAKE])
  t.match(await answer(socket, /never/), /slow$/)
  await app.close()
})

t.test('an upgrade whose hooks are still running when the app closes is disconnected, and never joins the feed', async (t) => {
  const app = await appWithTasks(t)
  let enter!: () => void
  const entered = new Promise<void>((resolve) => { enter = resolve })
  let goOn!: () => void
  await app.register(tasksFeed, { prefix: '/feed', onRequest: async () => { enter(); await new Promise<void>((resolve) => { goOn = resolve }) } })
  const socket = ask(t, await listen(app), ['GET /feed HTTP/1.1', ...HANDSHAKE]).resume()
  await entered
  const closed = app.close()
  await once(socket, 'close')
  goOn()
  await closed
  t.equal(app.tasks.listenerCount('start'), 0)
})

t.test('a reset at any moment of a handshake does not end the process', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: async () => { await wait(10) } })
  const address = await listen(app)
  for (const delay of [0, 0, 1, 2, 5, 9, 10, 11, 15, 20]) {
    const socket = ask(t, address, ['GET /feed HTTP/1.1', ...HANDSHAKE])
    await once(socket, 'connect')
    await wait(delay)
    socket.resetAndDestroy()
  }
  await wait(30)
  const client = new WebSocket(`ws://${address}/feed`)
  await once(client, 'open')
  client.terminate()
  await app.close()
})

t.test("a caller's own WebSocket servers work beside the feed, registered before or after it", async (t) => {
  const app = await appWithTasks(t)
  const attach = (path: string): WebSocketServer => {
    const server = new WebSocketServer({ noServer: true })
    app.server.on('upgrade', async (request, socket, head) => {
      if (request.url !== path) return
      // As one that asks a database first.
      await wait(5)
      server.handleUpgrade(request, socket, head, (socket) => { socket.send(path) })
    })
    return server
  }
  attach('/before')
  await app.register(tasksFeed, { prefix: '/:tenant/feed', onRequest: [] })
  attach('/after')
  const address = await listen(app)
  for (const path of ['/before', '/after']) {
    const socket = new WebSocket(`ws://${address}${path}`)
    t.equal(String((await once(socket, 'message'))[0]), path)
    socket.close()
    await once(socket, 'close')
  }
  const feed = new WebSocket(`ws://${address}/a.b/feed?group=x`)
  await once(feed, 'open')
  feed.terminate()
})

t.test('a @fastify/websocket that is registered after the feed, or beside it, is answered once', async (t) => {
  for (const where of ['after', 'beside'] as const) {
    const warnings: string[] = []
    const app = await withFeed(t, { logger: { level: 'warn', stream: { write: (line: string) => { warnings.push(line) } } } } as object)
    const own = async (app: FastifyInstance): Promise<void> => {
      await app.register(fastifyWebsocket)
      app.get('/own', { websocket: true }, (socket) => { socket.send('own') })
    }
    if (where === 'after') await own(app)
    else await app.register(own)
    const address = await listen(app)
    const socket = new WebSocket(`ws://${address}/own`)
    t.equal(String((await once(socket, 'message'))[0]), 'own')
    socket.terminate()
    const feed = new WebSocket(`ws://${address}/feed`)
    await once(feed, 'open')
    const message = once(feed, 'message')
    app.addTask(() => {}, { name: 'one' })
    t.match(JSON.parse(String((await message)[0])), { event: 'start' })
    feed.terminate()
    await app.close()
    t.same(warnings, [])
  }
})

t.test('feeds in sibling scopes, and one twice under one prefix in children, all work', async (t) => {
  const app = await appWithTasks(t)
  for (const prefix of ['/a', '/b']) {
    await app.register(async (child) => { await child.register(tasksFeed, { prefix: '/feed', onRequest: [] }) }, { prefix })
  }
  const address = await listen(app)
  await started(app.addTask(untilAborted, { name: 'idle' }))
  for (const path of ['/a/feed', '/b/feed/']) {
    const feed = new WebSocket(`ws://${address}${path}`)
    t.match(JSON.parse(String((await once(feed, 'message'))[0])), { event: 'snapshot', task: { name: 'idle' } }, path)
    feed.terminate()
  }
})

t.test('a server with shouldUpgradeCallback also takes WebSockets', async (t) => {
  const asked: unknown[] = []
  const server = Object.assign(createServer(), { shouldUpgradeCallback: (request: any) => { asked.push(request); return request.refused !== true } })
  t.equal(Upgrades.of(server), Upgrades.of(server))
  const chooses = (upgrade: string, more = {}): boolean => server.shouldUpgradeCallback({ headers: { upgrade }, ...more })
  t.ok(chooses('WebSocket'))
  t.notOk(chooses('h2c'))
  t.notOk(chooses('websocket', { refused: true }))
  t.equal(asked.length, 3)
  server.on('upgrade', () => {})
  t.ok(chooses('h2c'), 'another listener may want it')
})
