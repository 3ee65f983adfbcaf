import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join, relative, resolve } from 'node:path'
import swagger from '@fastify/swagger'
import websocket from '@fastify/websocket'
import t from 'tap'
import tasksDashboard from '../../lib/control/dashboard'
import { script, style } from '../../lib/control/dashboard/assets'
import { appWithTasks, listen } from '../fixtures/app'

const root = resolve(__dirname, '../..')

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "base-uri 'none'",
    "form-action 'none'", "frame-ancestors 'none'"
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
}

t.test('the page and its files are served with a strict Content-Security-Policy', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksDashboard, { prefix: '/ops/dashboard', onRequest: [] })
  for (const [url, folder] of [['/ops/dashboard/', ''], ['/ops/dashboard', 'dashboard/'], ['/ops/dashboard?x=/', 'dashboard/']]) {
    const page = await app.inject(url)
    t.equal(page.statusCode, 200)
    t.match(page.headers, { ...HEADERS, 'content-type': 'text/html; charset=utf-8' })
    // No module: with those a browser sends an Origin.
    t.ok(page.body.includes(`<script defer src="${folder}dashboard.js">`), url)
    t.notMatch(page.body, /\{\{|https?:|style=|onclick|<script>/)
  }
  for (const [name, type] of [['dashboard.css', 'text/css; charset=utf-8'], ['dashboard.js', 'text/javascript; charset=utf-8'], ['icon.svg', 'image/svg+xml']]) {
    const reply = await app.inject(`/ops/dashboard/${name}`)
    t.equal(reply.statusCode, 200)
    t.match(reply.headers, { ...HEADERS, 'content-type': type })
  }
  t.match((await app.inject('/ops/dashboard/api')).json(), { tasks: [] })
  t.equal((await app.inject('/ops/dashboard/feed')).statusCode, 426)
})

t.test('the bundled page is the one that the sources make, with the licences of what is in it', async (t) => {
  const build = '../../lib/control/dashboard/build.mjs'
  const { generate } = await import(build) as { generate: () => Promise<Record<string, string>> }
  for (const [path, text] of Object.entries(await generate())) t.ok(readFileSync(path, 'utf8') === text, `${relative(root, path)}: npm run build:page`)
  for (const name of ['preact', '@tanstack/virtual-core', 'uplot']) {
    for (const text of [readFileSync(join(root, 'THIRD-PARTY-LICENSES'), 'utf8'), script]) t.match(text, new RegExp(`${name} \\d+\\.[^]*Permission is hereby granted`))
  }
  t.ok(script.length < 200_000)
  t.notMatch(style, /url\(|@import/)
})

t.test('the links of the page work below a prefix with characters special to HTML', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksDashboard, { prefix: '/~r&d-1.0_x', onRequest: [] })
  t.match((await app.inject('/~r&d-1.0_x')).body, 'src="~r%26d-1.0_x/dashboard.js"')
})

t.test('swagger describes its routes, and neither the page, its files nor the feed', async (t) => {
  const app = await appWithTasks(t)
  await app.register(swagger)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
  await app.ready()
  t.same(Object.keys(app.swagger().paths!), ['/dashboard/api/', '/dashboard/api/cancel', '/dashboard/api/purge', '/dashboard/api/{name}', '/dashboard/api/{name}/heartbeat'])
})

t.test('the dashboard requires Fastify 5 and fastify-tasks', async (t) => {
  t.match(Reflect.get(tasksDashboard, Symbol.for('plugin-meta')), { name: 'fastify-tasks-dashboard', fastify: '5.x', dependencies: ['fastify-tasks'] })
})

t.test('error messages are sent only with exposeErrors, by its routes and its feed', async (t) => {
  const app = await appWithTasks(t)
  await app.register(websocket)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [], exposeErrors: true })
  await app.ready()
  const socket = await app.injectWS('/dashboard/feed')
  t.teardown(() => socket.terminate())
  const told = new Promise<string>((resolve) => socket.on('message', (data) => { if (/"end"/.test(String(data))) resolve(String(data)) }))
  await Promise.resolve(app.addTask(() => { throw new Error('text') }, { name: 'a' })).catch(() => {})
  t.same(JSON.parse(await told).task.error, { message: 'text' })
  t.match((await app.inject('/dashboard/api/a')).json().error, { message: 'text' })
})

t.test('the hooks guard the page, its files, its routes and its feed', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: async (_request, reply) => reply.code(401).send() })
  for (const path of ['', '/', '/dashboard.css', '/dashboard.js', '/icon.svg', '/api', '/api/x', '/feed']) {
    t.equal((await app.inject(`/dashboard${path}`)).statusCode, 401, path)
  }
  for (const [method, path] of [['POST', '/api/purge'], ['DELETE', '/api/x'], ['POST', '/api/x/heartbeat']] as const) {
    t.equal((await app.inject({ method, url: `/dashboard${path}` })).statusCode, 401, path)
  }
})

t.test('a browser is sent the page and its files again only after a change', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
  const tags = new Set<string>()
  for (const url of ['/dashboard', '/dashboard/', '/dashboard/dashboard.js', '/dashboard/dashboard.css', '/dashboard/icon.svg']) {
    const { headers: { etag }, body } = await app.inject(url)
    t.match(etag, /^W\/"[\w-]{43}"$/)
    tags.add(etag as string)
    for (const known of [etag, (etag as string).slice(2), `"x", ${etag}`, '*'] as string[]) {
      for (const method of ['GET', 'HEAD'] as const) {
        const reply = await app.inject({ method, url, headers: { 'if-none-match': known } })
        t.same([reply.statusCode, reply.body], [304, ''], `${method} ${url} ${known}`)
        t.match(reply.headers, { ...HEADERS, etag })
      }
    }
    const stale = await app.inject({ url, headers: { 'if-none-match': 'W/"x"' } })
    t.same([stale.statusCode, stale.body === body], [200, true])
    const head = await app.inject({ method: 'HEAD', url })
    t.match([head.statusCode, head.headers.etag, head.headers['content-length'], head.body], [200, etag, String(Buffer.byteLength(body)), ''])
  }
  t.equal(tags.size, 5)
})

t.test('a page of another origin is served nothing', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [], allowedOrigins: ['https://ops.example.com'] })
  for (const path of ['', '/', '/dashboard.css', '/dashboard.js', '/icon.svg', '/api', '/api/x', '/feed']) {
    const ask = async (origin: string) => await app.inject({ url: `/dashboard${path}`, headers: { host: 'here:1', origin } })
    for (const origin of ['https://evil.example', 'null']) {
      t.match((await ask(origin)).json(), { statusCode: 403, code: 'FST_ERR_TASK_ORIGIN_NOT_ALLOWED' }, `${path} ${origin}`)
    }
    for (const origin of ['https://ops.example.com', 'http://here:1']) t.not((await ask(origin)).statusCode, 403, `${path} ${origin}`)
  }
})

t.test('a page of another origin cannot act with the password that the browser keeps', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [], allowedOrigins: ['https://ops.example.com'] })
  const purge = (origin: string) => app.inject({ method: 'POST', url: '/dashboard/api/purge', headers: { origin } })
  t.equal((await purge('https://evil.example')).statusCode, 403)
  t.equal((await purge('https://ops.example.com')).statusCode, 200)
  const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
  const address = await listen(app)
  for (const [origin, status] of [['https://evil.example', 403], ['https://ops.example.com', 101]] as const) {
    const handshake = request(`http://${address}/dashboard/feed`, { headers: { ...upgrade, origin } }).end()
    t.teardown(() => handshake.destroy())
    const [{ statusCode }] = await Promise.race([once(handshake, 'upgrade'), once(handshake, 'response')])
    t.equal(statusCode, status)
  }
})

t.test('wrong options are refused', async (t) => {
  for (const [options, message] of [
    [{}, "fastify-tasks/dashboard needs the option 'onRequest'"],
    [{ onRequest: [], serve: 'x' }, "Option 'serve' must be 'tasks', 'jobs' or ['tasks', 'jobs'], got 'x'"],
    [{ onRequest: [], serve: [] }, "Option 'serve' must be 'tasks', 'jobs' or ['tasks', 'jobs'], got []"],
    [{ onRequest: [], serve: ['tasks', 'x'] }, "Option 'serve' must be 'tasks', 'jobs' or ['tasks', 'jobs'], got [ 'tasks', 'x' ]"],
    [{ onRequest: [], serve: ['tasks', 'jobs'] }, /fastify-tasks\/jobs/]
  ] as const) {
    const app = await appWithTasks(t)
    await t.rejects(Promise.resolve(app.register(tasksDashboard, options as any)), { message })
  }
})
