import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { appWithTasks, ignoresSignal } from '../fixtures/app'

interface Client { socket: Socket, received: () => string, ended: Promise<unknown> }

function client (t: Test, app: FastifyInstance, host = '127.0.0.1'): Client {
  const socket = connect((app.server.address() as AddressInfo).port, host)
  t.teardown(() => socket.destroy())
  let received = ''
  socket.on('data', (data) => { received += String(data) })
  return { socket, received: () => received, ended: once(socket, 'close') }
}

const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`

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
  await delay(20)
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
  await delay(20)
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
  await delay(20)
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
  await delay(30)
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
  await delay(20)
  await closes(closing)
  socket.write(request('/'))
  while ((received().match(/late/g) ?? []).length < 2) await delay(5)
  t.notOk(socket.destroyed)
})

t.test('HTTP/2 closes as before', async (t) => {
  const app = await appWithTasks(t, {}, { http2: true } as object)
  app.addTask(ignoresSignal)
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.ok(await closes(app) < 5_000)
})
