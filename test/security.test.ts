import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import fastifyTasks from '../index'
import tasksDashboard from '../lib/control/dashboard'
import tasksFeed from '../lib/control/feed'
import tasksRoutes from '../lib/control/routes'
import { untilAborted } from './fixtures/app'
import { controlApp, SECRET } from './fixtures/control-app'
import { fuzz } from './fixtures/fuzz'

async function start (t: Test, onRequest?: unknown) {
  const control = await controlApp(onRequest)
  t.teardown(() => control.app.close())
  return control
}

/** A client of the feed, and what it is told. */
async function connect (t: Test, origin: string, path: string, options: WebSocket.ClientOptions = {}) {
  const socket = new WebSocket(`${origin.replace('http', 'ws')}${path}`, options)
  t.teardown(() => socket.terminate())
  const messages: string[] = []
  socket.on('message', (data) => messages.push(String(data))).on('error', () => {})
  const status = await new Promise<number>((resolve) => {
    socket.on('open', () => resolve(101))
    socket.on('unexpected-response', (_request, response) => {
      response.resume()
      resolve(response.statusCode!)
    })
  })
  return { socket, messages, status }
}

t.test('registration without onRequest fails', async (t) => {
  for (const plugin of [tasksRoutes, tasksFeed, tasksDashboard]) {
    const app = Fastify()
    await app.register(fastifyTasks)
    await t.rejects(Promise.resolve(app.register(plugin as never, { prefix: '/x' })), { code: 'FST_ERR_TASK_UNPROTECTED' })
    await app.close().catch(() => {})
  }
})

t.test('a client that the hook refuses reads and changes nothing, on every route', async (t) => {
  const { app, origin } = await start(t, async (_request: unknown, reply: { code: (status: number) => { send: (body: object) => unknown } }) => reply.code(401).send({ no: true }))
  for (const [method, url] of [
    ['GET', '/tasks'], ['HEAD', '/tasks'], ['GET', '/tasks/live'], ['DELETE', '/tasks/live'], ['POST', '/tasks/live/heartbeat'], ['POST', '/tasks/purge'],
    ['GET', '/dashboard'], ['GET', '/dashboard/'], ['GET', '/dashboard/dashboard.js'], ['GET', '/dashboard/api'], ['DELETE', '/dashboard/api/live'],
    ['POST', '/dashboard/api/purge'], ['GET', '/feed'], ['GET', '/dashboard/feed'], ['DELETE', `/tasks/${'a'.repeat(300)}`]
  ] as const) {
    const response = await app.inject({ method, url })
    t.equal(response.statusCode, 401, `${method} ${url}`)
    t.notMatch(response.body, /live|failed/)
  }
  t.equal((await connect(t, origin, '/feed')).status, 401)
  t.equal((await connect(t, origin, '/dashboard/feed')).status, 401)
  t.equal(app.getTask('live')!.state, 'running')
  t.ok(app.getTask('failed'))
})

t.test('no GET or HEAD changes anything', async (t) => {
  const { app } = await start(t)
  const before = [...app.tasks].map(({ name, state }) => ({ name, state }))
  for (const url of ['/tasks/purge', '/tasks/live/heartbeat', '/tasks/live?_method=DELETE', '/tasks/live', '/dashboard/api/purge']) {
    for (const method of ['GET', 'HEAD'] as const) {
      await app.inject({ method, url, headers: { 'x-http-method-override': 'DELETE', 'x-http-method': 'POST' } })
    }
  }
  t.same([...app.tasks].map(({ name, state }) => ({ name, state })), before)
})

t.test('the text of an error is sent only with exposeErrors', async (t) => {
  const { app, origin } = await start(t)
  const { messages } = await connect(t, origin, '/feed')
  const told = new Promise<void>((resolve) => app.tasks.on('end', () => setImmediate(resolve)))
  app.addTask(async () => { throw new Error(SECRET) }, { name: 'fails while watched' }).then(undefined, () => {})
  await told
  while (!messages.some((message) => message.includes('"failed"'))) await new Promise(resolve => setImmediate(resolve))
  t.notMatch(messages.join(), SECRET)
  for (const url of ['/tasks', '/tasks?state=failed', '/tasks/failed', '/dashboard/api', '/dashboard/api/failed']) {
    const { statusCode, body } = await app.inject(url)
    t.equal(statusCode, 200)
    t.match(body, 'E_CODE', 'its code does')
    t.notMatch(body, SECRET)
  }
})

t.test('a name is data, whatever it looks like', async (t) => {
  const { app } = await start(t)
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '../../etc/passwd', 'a/b', 'a%2Fb', 'purge', 'x/heartbeat', '%', ' ', '\u0000', '\r\nset-cookie: a=b',
    '<img src=x onerror=alert(1)>', '💥', '"},{"', 'a'.repeat(101), 'a'.repeat(2_000)]
  for (const name of names) {
    const url = `/tasks/${encodeURIComponent(name)}`
    t.equal((await app.inject(url)).statusCode, 404, 'unknown before it was added')
    app.addTask(untilAborted, { name })
    const shown = await app.inject(url)
    t.equal(shown.json().name, name)
    t.match(shown.headers['content-type'], 'application/json')
    t.equal((await app.inject({ method: 'DELETE', url })).json().state, 'cancelled')
    t.equal(app.getTask(name)!.state, 'cancelled')
  }
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})

t.test('a body with __proto__ members pollutes no prototype', async (t) => {
  const { app } = await start(t)
  for (const payload of ['{"__proto__":{"polluted":true}}', '{"constructor":{"prototype":{"polluted":true}}}']) {
    const response = await app.inject({ method: 'POST', url: '/tasks/purge', headers: { 'content-type': 'application/json' }, payload })
    t.ok(response.statusCode < 500)
  }
  await app.inject('/tasks?__proto__[polluted]=1&constructor[prototype][polluted]=1')
  t.equal(({} as Record<string, unknown>).polluted, undefined)
  const task = app.addTask(untilAborted, { name: 'progress' })
  task.updateProgress(JSON.parse('{"__proto__":{"polluted":true}}'))
  t.equal((task.progress as Record<string, unknown>).polluted, undefined)
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})

t.test('malformed and oversized bodies are refused with a 4xx', async (t) => {
  const { app } = await start(t)
  for (const payload of ['{', '{"a":', '\u0000', 'x'.repeat(2 ** 21)]) {
    const { statusCode } = await app.inject({ method: 'POST', url: '/tasks/purge', headers: { 'content-type': 'application/json' }, payload })
    t.ok(statusCode >= 400 && statusCode < 500, `${statusCode}`)
  }
  t.ok(app.getTask('failed'), 'nothing was purged')
})

t.test('cross-site WebSocket: a page of another origin gets no feed; a page of the app and a client without Origin do', async (t) => {
  const { origin } = await start(t)
  for (const path of ['/feed', '/dashboard/feed']) {
    for (const foreign of ['http://evil.example', 'null', `${origin}.evil.example`, origin.replace('127.0.0.1', 'localhost'), 'http://127.0.0.1:1', '://']) {
      t.equal((await connect(t, origin, path, { origin: foreign })).status, 403, foreign)
    }
    t.equal((await connect(t, origin, path, { origin })).status, 101)
    t.equal((await connect(t, origin, path)).status, 101)
  }
})

t.test('CSRF: a form or a script on a page of another origin cannot cancel or purge through the dashboard', async (t) => {
  const { app } = await start(t)
  for (const origin of ['http://evil.example', 'null']) {
    for (const [method, url] of [['POST', '/dashboard/api/purge'], ['DELETE', '/dashboard/api/live'], ['POST', '/dashboard/api/live/heartbeat']] as const) {
      t.equal((await app.inject({ method, url, headers: { origin } })).statusCode, 403)
    }
  }
  t.equal(app.getTask('live')!.state, 'running')
  t.ok(app.getTask('failed'))
})

t.test('the dashboard can be framed by nobody and loads nothing from elsewhere', async (t) => {
  const { app } = await start(t)
  const { headers, body } = await app.inject('/dashboard/')
  const policy = String(headers['content-security-policy'])
  t.match(policy, "default-src 'none'")
  t.match(policy, "frame-ancestors 'none'")
  t.notMatch(policy, /unsafe|\*|https?:/)
  t.equal(headers['x-content-type-options'], 'nosniff')
  t.notMatch(body, /<script>|<style|\son\w+=|https?:\/\//)
  t.notMatch((await app.inject('/dashboard/?"><script>alert(1)</script>')).body, 'alert(1)')
})

t.test('a client that sends oversized or malformed frames is cut off, and the others are still served', async (t) => {
  const { app, origin } = await start(t)
  const good = await connect(t, origin, '/feed')
  for (const frame of [
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]),
    Buffer.from([0x81, 0x01, 0x61])
  ]) {
    const { socket } = await connect(t, origin, '/feed')
    ;(socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(frame)
    await once(socket, 'close')
  }
  const { socket } = await connect(t, origin, '/feed')
  socket.send('x'.repeat(1_000_000))
  await once(socket, 'close')
  t.equal(good.socket.readyState, WebSocket.OPEN)
  app.addTask(() => {}, { name: 'after the attack' })
  while (!good.messages.some((message) => message.includes('after the attack'))) await once(good.socket, 'message')
  t.equal(app.getTask('live')!.state, 'running')
})

t.test('what clients send to the feed changes nothing', async (t) => {
  const { app, origin } = await start(t)
  const { socket } = await connect(t, origin, '/feed')
  for (const message of ['{"cancel":"live"}', '{"event":"end","task":{"name":"live"}}', 'DELETE /tasks/live']) socket.send(message)
  socket.ping()
  await once(socket, 'pong')
  t.equal(app.getTask('live')!.state, 'running')
})

t.test('an upgrade of a route that is not a feed is answered and disconnected, and does not hold up close()', async (t) => {
  const { app, origin } = await start(t)
  const headers = 'upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13'
  for (const line of ['GET /unknown', 'GET /tasks', 'POST /feed', 'POST /tasks/purge', 'GET /%ff', `GET /feed/${'a'.repeat(5_000)}`]) {
    const socket = createConnection(Number(new URL(origin).port), '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('error', () => {}).resume()
    socket.write(`${line} HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n`)
    await once(socket, 'close')
  }
  await app.close()
  t.equal(app.getTask('live')!.state, 'cancelled')
})

t.test('two seconds of hostile input bring no crash, no 500 and no secret', async (t) => {
  const { findings, requests, sockets } = await fuzz(2_000)
  t.same(findings, [])
  t.ok(requests >= 200)
  t.comment(`${requests} requests, ${sockets} WebSockets`)
})

t.test('every row of the threat model has its tests', async (t) => {
  const sections = readFileSync(join(__dirname, '../SECURITY.md'), 'utf8').split('\n## ')
  const rowsOf = (title: string): string[][] => {
    const [, table] = sections.find((section) => section.startsWith(title))!.split('| --- | --- |\n')
    return table.split('\n\n')[0].trim().split('\n').map((row) => row.split('|').slice(1).map((cell) => cell.trim()))
  }
  const tested = rowsOf('Tests')
  const topics = tested.flatMap(([topics]) => topics.toLowerCase().split(', '))
  for (const [threat] of rowsOf('Threat model')) t.ok(topics.includes(threat.toLowerCase()), threat)
  t.ok(topics.includes('bounds'))
  for (const [, files] of tested) {
    for (const [, file] of files.matchAll(/`([^`]+)`/g)) t.ok(existsSync(join(__dirname, '..', file)), file)
  }
})
