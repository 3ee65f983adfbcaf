import { once } from 'node:events'
import http2 from 'node:http2'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Stalls } from '../../lib/tasks/stalls'
import { appWithTasks, logged, type LogLine } from '../fixtures/app'
import { cert, key } from '../fixtures/certificate'

const CLOSE_TIMEOUT = 300
const MB = 2 ** 20

/** An app that is listening, with a route for each way to wait for a client, and one of its own. */
async function listening (t: Test, server: object = {}, closeTimeout = CLOSE_TIMEOUT): Promise<{ app: FastifyInstance, port: number, lines: LogLine[] }> {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, { closeTimeout }, { logger, ...server })
  app.get('/stream', (_request, reply) => reply.send(Readable.from((function * () { for (let i = 0; i < 40; i++) yield Buffer.alloc(MB) })())))
  app.get('/slow', async () => { await delay(CLOSE_TIMEOUT * 3); return 'slow' })
  app.post('/upload', async () => 'uploaded')
  app.addContentTypeParser('application/unread', (_request, _payload, done) => done(null))
  app.post('/unread', async () => { await delay(CLOSE_TIMEOUT * 3); return 'unread' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port, lines }
}

async function closes (app: FastifyInstance): Promise<number> {
  const start = performance.now()
  await Promise.race([app.close(), delay(8_000, undefined, { ref: false }).then(() => { throw new Error('app.close() is held up') })])
  return performance.now() - start
}

const CUT = [{ msg: /^A client that held up app.close\(\) was cut off/ }]

const TCP = ['http', {}, (port: number): Socket => connect(port, '127.0.0.1')] as const
const TLS = ['https', { https: { key, cert } }, (port: number): Socket => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })] as const

for (const [kind, server, open] of [TCP, TLS]) {
  for (const [title, request] of Object.entries({
    'does not read its reply': 'GET /stream HTTP/1.1\r\nhost: x\r\n\r\n',
    'does not send the body that it announced': 'POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":',
    'does not end its chunked body': 'POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'sends nothing when it is told to continue': 'POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n'
  })) {
    t.test(`${kind}: a client that ${title} holds up the close for closeTimeout at most`, async (t) => {
      const { app, port, lines } = await listening(t, server)
      const socket = open(port).on('error', () => {}).pause()
      t.teardown(() => socket.destroy())
      socket.write(request)
      await once(app.server, 'request')
      await delay(100)
      t.ok(await closes(app) >= CLOSE_TIMEOUT - 1)
      t.match(lines, CUT)
    })
  }

  t.test(`${kind}: a client that goes on gets its reply whole, however long that takes`, async (t) => {
    const { app, port, lines } = await listening(t, server, 1_000)
    const socket = open(port)
    t.teardown(() => socket.destroy())
    let received = 0
    // Each pause is shorter than closeTimeout, and more is read between than the kernel can hold.
    let next = 0
    socket.on('data', async (data) => {
      received += data.length
      if (received < next) return
      next = received + 8 * MB
      socket.pause()
      await delay(300)
      socket.resume()
    })
    socket.write('GET /stream HTTP/1.1\r\nhost: x\r\n\r\n')
    await once(app.server, 'request')
    const [took] = await Promise.all([closes(app), once(socket, 'close')])
    t.ok(took > 1_000)
    t.ok(received > 40 * MB)
    t.same(lines, [])
  })

  t.test(`${kind}: a handler that takes its time is waited for, whether or not it reads the body`, async (t) => {
    const { app, port, lines } = await listening(t, server)
    const replies = ['GET /slow HTTP/1.1\r\nhost: x\r\n\r\n', 'POST /unread HTTP/1.1\r\nhost: x\r\ncontent-type: application/unread\r\ncontent-length: 100\r\n\r\nhalf'].map(async (request) => {
      const socket = open(port)
      t.teardown(() => socket.destroy())
      let received = ''
      socket.on('data', (data) => { received += String(data) })
      socket.write(request)
      await once(socket, 'close')
      return received
    })
    for (let i = 0; i < replies.length; i++) await once(app.server, 'request')
    const [, slow, unread] = await Promise.all([closes(app), ...replies])
    t.match(slow, /200 OK[^]*slow/)
    t.match(unread, /200 OK[^]*unread/)
    t.same(lines, [])
  })
}

for (const [kind, server, scheme] of [['h2', { http2: true, https: { key, cert } }, 'https'], ['h2c', { http2: true }, 'http']] as const) {
  t.test(`${kind}: a client that does not read its reply, or not send its body, holds up the close for closeTimeout at most`, async (t) => {
    for (const headers of [{ ':path': '/stream' }, { ':path': '/upload', ':method': 'POST', 'content-type': 'text/plain' }]) {
      const { app, port, lines } = await listening(t, server)
      const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => {})
      t.teardown(() => session.destroy())
      const stream = session.request(headers, { endStream: !(':method' in headers) }).on('error', () => {})
      if (':method' in headers) stream.write('half')
      await once(app.server, 'stream')
      await delay(100)
      t.ok(await closes(app) >= CLOSE_TIMEOUT - 1)
      t.match(lines, CUT)
    }
  })

  t.test(`${kind}: a handler that takes its time is waited for`, async (t) => {
    const { app, port, lines } = await listening(t, server)
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/slow' })
    await once(app.server, 'stream')
    const [, text] = await Promise.all([closes(app), stream.setEncoding('utf8').toArray()])
    t.equal(text.join(''), 'slow')
    t.same(lines, [])
  })
}

t.test('a stall begins anew with every byte, and when the client is no longer awaited', async (t) => {
  const stalls = new Stalls(20)
  const connection = { bytesRead: 0, bytesWritten: 0, writableLength: 0, _handle: { writeQueueSize: 9 } }
  const isAwaited = true
  t.equal(stalls.has(connection, { isAwaited }), false)
  await delay(25)
  for (const change of [
    () => connection.bytesRead++, () => connection.bytesWritten++, () => connection.writableLength++, () => connection._handle.writeQueueSize--
  ]) {
    change()
    t.equal(stalls.has(connection, { isAwaited }), false)
    t.equal(stalls.has(connection, { isAwaited }), false)
    await delay(25)
  }
  t.equal(stalls.has(connection, { isAwaited: false }), false)
  t.equal(stalls.has(connection, { isAwaited }), false)
  await delay(25)
  t.equal(stalls.has(connection, { isAwaited }), true)
  t.equal(new Stalls(0).has({ writableLength: 0, _handle: null }, { isAwaited }), false, 'never at once')
})
