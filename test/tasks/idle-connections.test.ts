import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo, ListenOptions, Socket } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { timers } from '../../lib/shared/timers'
import { IdleConnections } from '../../lib/tasks/idle-connections'
import { appWithTasks } from '../fixtures/app'
import { cert, key } from '../fixtures/certificate'
import { fakeLog } from '../fixtures/log'

interface Client { socket: Socket, received: () => string, ended: Promise<unknown> }

function client (t: Test, app: FastifyInstance, host = '127.0.0.1'): Client {
  const socket = connect((app.server.address() as AddressInfo).port, host)
  t.teardown(() => socket.destroy())
  let received = ''
  socket.on('data', (data) => { received += String(data) })
  return { socket, received: () => received, ended: once(socket, 'close') }
}

const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`

/** Resolves once this process is serving so many more requests. */
async function served (requests: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const onStart = (): void => {
      if (--requests > 0) return
      diagnostics.unsubscribe('http.server.request.start', onStart)
      resolve()
    }
    diagnostics.subscribe('http.server.request.start', onStart)
  })
}

async function closes (app: FastifyInstance, ms = 5_000): Promise<number> {
  const start = performance.now()
  await Promise.race([app.close(), delay(ms, undefined, { ref: false }).then(() => { throw new Error('app.close() is held up') })])
  return performance.now() - start
}

t.test('a connection that becomes idle after closing began does not hold up the close', async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 5_000 })
  app.get('/', async () => await app.addTask(() => delay(100, { done: true }), { onClose: 'wait' }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { socket, received, ended } = client(t, app)
  socket.write(request('/'))
  await once(app.tasks, 'start')
  await closes(app)
  await ended
  t.match(received(), /200 OK[^]*keep-alive[^]*\{"done":true\}/)
})

t.test('an agent with keep-alive gets its answer, and the close ends', async (t) => {
  const app = await appWithTasks(t)
  app.get('/', async () => { await delay(50); return 'late' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const received = once(http.get({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1', agent }), 'response')
  await served(1)
  const [closed, [response]] = await Promise.all([closes(app), received])
  t.ok(closed < 4_000)
  t.equal(response.statusCode, 200)
  response.resume()
})

t.test('a busy connection is not touched when another has become idle', async (t) => {
  const app = await appWithTasks(t)
  const part = 'x'.repeat(1_000_000)
  app.get('/parts', (_request, reply) => {
    reply.send(Readable.from((async function * () {
      for (let i = 0; i < 5; i++) {
        yield part
        await delay(50)
      }
    })()))
  })
  app.get('/', async () => { await delay(50); return 'small' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const [long, short] = [client(t, app), client(t, app)]
  long.socket.write(request('/parts'))
  short.socket.write(request('/'))
  await served(2)
  const closed = closes(app, 20_000)
  await short.ended
  t.notOk(long.socket.destroyed)
  await Promise.all([long.ended, closed])
  t.equal(long.received().match(/x/g)!.length, 5 * part.length)
  t.match(long.received(), /0\r\n\r\n$/, 'to its end')
})

t.test('requests that were pipelined are answered before their connection is closed', async (t) => {
  const app = await appWithTasks(t)
  app.get('/:id', async (request) => { await delay(50); return `answer ${(request.params as { id: string }).id}.` })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { socket, received, ended } = client(t, app)
  socket.write(request('/1') + request('/2'))
  await served(2)
  await closes(app)
  await ended
  t.match(received(), /answer 1\.[^]*answer 2\./)
})

t.test('every server of the app: with localhost there is one for each address', async (t) => {
  const app = await appWithTasks(t)
  app.get('/', async () => { await delay(100); return 'late' })
  await app.listen({ host: 'localhost', port: 0 })
  const clients = app.addresses().map((address) => (address as AddressInfo).address).map((address) => client(t, app, address))
  for (const { socket } of clients) socket.write(request('/'))
  await served(clients.length)
  await closes(app)
  await Promise.all(clients.map(({ ended }) => ended))
  for (const { received } of clients) t.match(received(), /late/)
})

t.test('the connections of another app are left alone', async (t) => {
  const [closing, other] = [await appWithTasks(t), await appWithTasks(t)]
  for (const app of [closing, other]) {
    app.get('/', async () => { await delay(50); return 'late' })
    await app.listen({ host: '127.0.0.1', port: 0 })
  }
  const { socket, received } = client(t, other)
  const mine = client(t, closing)
  socket.write(request('/'))
  mine.socket.write(request('/'))
  await served(2)
  await closes(closing)
  socket.write(request('/'))
  while ((received().match(/late/g) ?? []).length < 2) await delay(5)
  t.notOk(socket.destroyed)
})

const PARTS = 5
const part = '#'.repeat(200_000)

/** An app with a response that takes a while, and how to connect to it. */
async function listening (t: Test, server: object, listen: (address: any) => Socket, options: ListenOptions = { host: '127.0.0.1', port: 0 }): Promise<{ app: FastifyInstance, open: () => Socket }> {
  const app = await appWithTasks(t, { closeTimeout: 5_000 }, server)
  app.get('/slow', (_request, reply) => {
    reply.send(Readable.from((async function * () {
      for (let i = 0; i < PARTS; i++) {
        yield part
        await delay(30)
      }
    })()))
  })
  app.get('/:id', async (request) => { await delay(50); return `answer ${(request.params as { id: string }).id}.` })
  await app.listen(options)
  const open = (): Socket => {
    const socket = listen(app.server.address())
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    return socket
  }
  return { app, open }
}

/** Not `once`: where the server has not read what was sent, there is an error before. */
async function untilClosed (socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.resume().once('close', resolve))
}

const tcp = ({ port }: AddressInfo): Socket => connect(port, '127.0.0.1')
const overTls = ({ port }: AddressInfo): Socket => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
const path = join(tmpdir(), `idle-${process.pid}.sock`)

for (const [kind, server, listen, options] of [
  ['HTTP', {}, tcp],
  ['HTTPS', { https: { key, cert } }, overTls],
  ['HTTPS of a server for HTTP/2', { http2: true, https: { key, cert, allowHTTP1: true } }, overTls],
  ['HTTP on a unix socket', {}, (address: string) => connect(address), { path }]
] as const) {
  t.test(`${kind}: neither a connection without a request nor one half way through its first holds up the close`, async (t) => {
    const { app, open } = await listening(t, server, listen, options)
    const sockets = [open(), open()]
    await Promise.all(sockets.map((socket) => once(socket, listen === overTls ? 'secureConnect' : 'connect')))
    sockets[1].write('GET /1 HTTP/1.1\r\nhost:')
    await delay(20)
    const ended = Promise.all(sockets.map((socket) => untilClosed(socket)))
    await closes(app)
    await ended
  })

  t.test(`${kind}: a response under way is delivered whole, and so are those of requests pipelined behind it`, async (t) => {
    const { app, open } = await listening(t, server, listen, options)
    const socket = open()
    let received = ''
    socket.write(request('/slow') + request('/1') + request('/2'))
    await once(socket, 'readable')
    socket.on('data', (data) => { received += String(data) })
    await Promise.all([closes(app, 20_000), once(socket, 'close')])
    t.equal(received.match(/#/g)!.length, PARTS * part.length)
    t.match(received, /answer 1\.[^]*answer 2\./)
  })
}

t.test('a handshake of TLS that does not end does not hold up the close', async (t) => {
  for (const server of [{ https: { key, cert } }, { http2: true, https: { key, cert } }]) {
    const { app, open } = await listening(t, server, tcp)
    const [silent, begun] = [open(), open()]
    begun.write(Buffer.from('1603010200', 'hex'))
    await delay(20)
    const ended = [silent, begun].map((socket) => untilClosed(socket))
    await closes(app)
    await Promise.all(ended)
  }
})

for (const [kind, server, scheme] of [['h2', { http2: true, https: { key, cert } }, 'https'], ['h2c', { http2: true }, 'http']] as const) {
  t.test(`${kind}: a session without streams does not hold up the close`, async (t) => {
    const { app } = await listening(t, server, tcp)
    const session = http2.connect(`${scheme}://127.0.0.1:${(app.server.address() as AddressInfo).port}`, { rejectUnauthorized: false })
    t.teardown(() => session.destroy())
    await once(session, 'remoteSettings')
    const ended = once(session, 'close')
    await closes(app)
    await ended
  })

  t.test(`${kind}: a session ends when its streams have, and delivers them whole`, async (t) => {
    const { app } = await listening(t, server, tcp)
    const session = http2.connect(`${scheme}://127.0.0.1:${(app.server.address() as AddressInfo).port}`, { rejectUnauthorized: false })
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/slow' })
    await once(stream, 'response')
    let received = 0
    stream.on('data', ({ length }) => { received += length })
    await Promise.all([closes(app, 20_000), once(stream, 'end'), once(session, 'goaway'), once(session, 'close')])
    t.equal(received, PARTS * part.length)
  })
}

t.test('a connection that was upgraded is not ended', async (t) => {
  const { app, open } = await listening(t, {}, tcp)
  app.server.on('upgrade', async (_request, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n')
    await delay(300)
    socket.end('the last word')
  })
  const socket = open()
  let received = ''
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n')
  await once(socket, 'readable')
  socket.on('data', (data) => { received += String(data) })
  await closes(app)
  t.match(received, /the last word$/)
})

t.test('connections are served until the hooks of others let the server stop to listen', async (t) => {
  const app = await appWithTasks(t)
  app.get('/', async () => 'served')
  app.addHook('preClose', async () => { await delay(200) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const [first, spare] = [client(t, app), client(t, app)]
  await once(spare.socket, 'connect')
  const closed = closes(app)
  await delay(100)
  first.socket.write(request('/'))
  await closed
  t.match(first.received(), 'HTTP/1.1 ')
  await spare.ended
})

t.test('a connection that comes while hooks still let the server listen does not hold up the close', async (t) => {
  const app = await appWithTasks(t)
  app.addHook('preClose', async () => { await delay(150) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const closed = closes(app)
  await delay(100)
  const { ended } = client(t, app)
  await Promise.all([closed, ended])
})

t.test('a client that does not end its own half of the connection does not hold up the close', async (t) => {
  const app = await appWithTasks(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {}).resume()
  await once(socket, 'connect')
  await closes(app)
  t.notOk(socket.writableEnded)
})

t.test('a connection that the server is handed again is watched once', async (t) => {
  const { app, open } = await listening(t, {}, tcp)
  const [[socket]] = await Promise.all([once(app.server, 'connection'), once(open(), 'connect')]) as [[Socket], unknown]
  const before = socket.listenerCount('close')
  app.server.listeners('connection').at(-1)!.call(app.server, socket)
  t.equal(socket.listenerCount('close'), before)
})

t.test('looking goes on until the last of several servers has no connection', async (t) => {
  const answer: http.RequestListener = async (_request, response) => { await delay(150); response.end('late') }
  const [first, second] = [1, 2].map(() => http.createServer({ keepAliveTimeout: 60_000 }, answer))
  t.teardown(() => [first, second].map((server) => server.close()))
  await Promise.all([first, second].map((server) => once(server.listen(0, '127.0.0.1'), 'listening')))
  const app = { server: first, [Symbol('fastify.serverBindings')]: [second] } as unknown as FastifyInstance
  const connections = new IdleConnections({ closeTimeout: 5_000, log: fakeLog().log })
  connections.watch(app)
  const { socket, received, ended } = client(t, { server: second } as FastifyInstance)
  socket.write(request('/'))
  await served(1)
  connections.close()
  for (const server of [first, second]) server.close()
  await Promise.race([ended, delay(5_000, undefined, { ref: false }).then(() => { throw new Error('it is still open') })])
  t.match(received(), /late/)
})

t.test('a response that its client reads late is not cut', async (t) => {
  const app = await appWithTasks(t, { closeTimeout: 5_000 })
  const length = 30_000_000
  app.get('/', async () => {
    // Node itself, when it stops to listen, destroys a connection whose response has ended and is not sent yet.
    while (app.server.listening) await delay(5)
    return '#'.repeat(length)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write(request('/'))
  await once(app.server, 'request')
  const closed = closes(app, 20_000)
  await delay(300)
  let received = 0
  socket.on('data', (data) => { received += data.length })
  await Promise.all([closed, once(socket, 'close')])
  t.ok(received > length)
})

t.test('looking for what is idle ends with the connections', async (t) => {
  const { setInterval, clearInterval } = timers
  const running = new Set<unknown>()
  t.teardown(() => Object.assign(timers, { setInterval, clearInterval }))
  Object.assign(timers, {
    setInterval: (callback: () => void, ms: number) => {
      const timer = setInterval(callback, ms)
      running.add(timer)
      return timer
    },
    clearInterval: (timer: NodeJS.Timeout) => {
      running.delete(timer)
      clearInterval(timer)
    }
  })
  const { app, open } = await listening(t, {}, tcp)
  const [gone, left, busy] = [open(), open(), open()]
  busy.write(request('/slow'))
  await Promise.all([once(gone, 'connect'), once(left, 'connect'), served(1)])
  gone.destroy()
  const never = await appWithTasks(t)
  const closed = Promise.all([closes(app), closes(never)])
  await delay(60)
  busy.destroy()
  await closed
  while (running.size > 0) await delay(10)
  t.equal(running.size, 0)
})

t.test('a server is watched once', async (t) => {
  const server = http.createServer()
  const connections = new IdleConnections({ closeTimeout: 5_000, log: fakeLog().log })
  connections.watch({ server } as unknown as FastifyInstance)
  const before = server.listenerCount('connection')
  connections.watch({ server } as unknown as FastifyInstance)
  t.equal(server.listenerCount('connection'), before)
})
