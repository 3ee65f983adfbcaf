import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { ACCESS_OPTIONS, checkAccess, rejectCrossOrigin } from '../../lib/control/access'
import type { AccessOptions } from '../../lib/control/access-options'
import { listen } from '../fixtures/app'
import { fakeLog } from '../fixtures/log'

const { log, warnings } = fakeLog()
const check = (options: object): void => checkAccess({ log } as FastifyInstance, 'the plugin', options as AccessOptions, ACCESS_OPTIONS)
const hook = (): void => {}

t.test('the error of a wrong option names the option, what was expected and what was passed', async (t) => {
  const hooks = "Option 'onRequest' must be a function or a list of functions, got "
  for (const [options, message] of [
    [{ onRequest: 'no' }, `${hooks}'no'`],
    [{ onRequest: { every: () => true } }, `${hooks}{ every: [Function: every] }`],
    [{ onRequest: [hook, 1] }, `${hooks}[ [Function: hook], 1 ]`],
    [{ onRequest: new Array(2) }, `${hooks}[ <2 empty items> ]`],
    [{ onRequest: [], exposeErrors: 'yes' }, "Option 'exposeErrors' must be true or false, got 'yes'"],
    [{ onRequest: [], allowedOrigins: 1 }, "Option 'allowedOrigins' must be a list of origins such as https://example.com, got 1"]
  ] as const) {
    t.throws(() => check(options), { code: 'FST_ERR_TASK_INVALID_OPTION', message })
  }
  check({ onRequest: [], title: 1, valueOf: 1 })
  t.strictSame(warnings.splice(0), [[{ plugin: 'the plugin', options: ['title', 'valueOf'] }, 'Unknown options are ignored']])
  t.throws(() => check({}), { code: 'FST_ERR_TASK_UNPROTECTED', message: /^the plugin needs the option 'onRequest'/ })
})

t.test('valid options, undefined ones and those of register are accepted', async (t) => {
  for (const options of [
    { onRequest: hook },
    { onRequest: [hook, hook], exposeErrors: false, allowedOrigins: [] },
    { onRequest: [], exposeErrors: undefined, unknown: undefined },
    { onRequest: [], prefix: '/x', logLevel: 'warn', logSerializers: {} }
  ]) t.doesNotThrow(() => check(options))
})

t.test('an origin is a scheme, a host and a port, and nothing more', async (t) => {
  const [, accepts] = ACCESS_OPTIONS.allowedOrigins
  for (const origin of ['https://example.com', 'http://127.0.0.1:3000', 'a://b', 'chrome-extension://abc']) t.ok(accepts([origin]), origin)
  for (const wrong of [
    'https://example.com/', 'https://example.com/x', 'https://a b', 'https://', 'example.com', '://example.com', '1a://b', ' https://example.com',
    'https:/example.com', 'HTTPS://example.com', '*', 1, null, ['https://example.com'],
    'https://Example.com', 'https://example.com:443', 'https://*.example.com', 'https://a:b@example.com', 'https://example.com?x', 'https://example.com#x',
    'https://example.com:x', 'a://b*', 'a://b@c', ' a://b'
  ]) t.notOk(accepts(['https://example.com', wrong]), String(wrong))
})

t.test('a page of the requested host has the same origin, however the host is written', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  rejectCrossOrigin(app)
  app.get('/', async () => 'entered')
  const ask = async (host: string, origin: string): Promise<number> => (await app.inject({ url: '/', headers: { host, origin } })).statusCode
  t.equal(await ask('Ops.Example.com', 'https://ops.example.com'), 200)
  t.equal(await ask('ops.example.com:8080', 'https://ops.example.com:8080'), 200)
  t.equal(await ask('ops.example.com', 'https://ops.example.com:8080'), 403)
  t.equal(await ask('ops.example.com:443', 'https://ops.example.com'), 200)
  t.equal(await ask('ops.example.com:443', 'http://ops.example.com'), 403)
  t.equal(await ask('ops.example.com', 'app://ops.example.com'), 403)
  t.equal(await ask('ops.example.com', 'ops.example.com'), 403)
  t.equal(await ask('', 'https://undefined'), 403)
  const refused = await app.inject({ url: '/', headers: { origin: 'https://evil.example' } })
  t.match(refused.json(), { code: 'FST_ERR_TASK_ORIGIN_NOT_ALLOWED', message: "Origin 'https://evil.example' is not allowed" })
})

t.test('a page loaded over http is cross-origin to an app that is requested over https', async (t) => {
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  rejectCrossOrigin(app)
  app.get('/', async () => 'entered')
  const ask = async (protocol: string, origin: string): Promise<number> =>
    (await app.inject({ url: '/', headers: { host: 'ops.example.com', 'x-forwarded-proto': protocol, origin } })).statusCode
  t.equal(await ask('https', 'https://ops.example.com'), 200)
  t.equal(await ask('https', 'http://ops.example.com'), 403)
  t.equal(await ask('http', 'http://ops.example.com'), 200)
  t.equal(await ask('http', 'https://ops.example.com'), 200)
})

t.test('a request without a Host header is refused and does not crash the app', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  rejectCrossOrigin(app)
  app.get('/', async () => 'entered')
  const [host, port] = (await listen(app)).split(':')
  const socket = connect(Number(port), host)
  t.teardown(() => socket.destroy())
  socket.write('GET / HTTP/1.0\r\norigin: https://evil.example\r\n\r\n')
  t.match(String((await once(socket, 'data'))[0]), / 403 /)
})
