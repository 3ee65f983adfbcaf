import { once } from 'node:events'
import { request } from 'node:http'
import swagger from '@fastify/swagger'
import websocket from '@fastify/websocket'
import t, { type Test } from 'tap'
import type { Browser, Page } from 'playwright-core'
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import tasksDashboard from '../../lib/control/dashboard'
import { openBrowser } from '../fixtures/browser'
import { addIdle, listen, makeApp, started } from '../fixtures/control'

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "base-uri 'none'",
    "form-action 'none'", "frame-ancestors 'none'"
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
}

t.test('the page and what belongs to it are served, with a strict policy', async (t) => {
  const app = await makeApp(t)
  await app.register(tasksDashboard, { prefix: '/ops/dashboard', onRequest: [] })
  for (const [url, folder] of [['/ops/dashboard/', ''], ['/ops/dashboard', 'dashboard/'], ['/ops/dashboard?x=/', 'dashboard/']]) {
    const page = await app.inject(url)
    t.equal(page.statusCode, 200)
    t.match(page.headers, { ...HEADERS, 'content-type': 'text/html; charset=utf-8' })
    t.ok(page.body.includes(`src="${folder}dashboard.js"`), url)
    t.notMatch(page.body, /\{\{|https?:|style=|onclick|<script>/)
  }
  for (const [name, type] of [['dashboard.css', 'css'], ['dashboard.js', 'javascript'], ['plot.js', 'javascript']]) {
    const reply = await app.inject(`/ops/dashboard/${name}`)
    t.equal(reply.statusCode, 200)
    t.match(reply.headers, { ...HEADERS, 'content-type': `text/${type}; charset=utf-8` })
  }
  t.same((await app.inject('/ops/dashboard/api')).json(), { tasks: [] })
  t.equal((await app.inject('/ops/dashboard/feed')).statusCode, 426)
})

t.test('the links of the page survive a prefix with a character that HTML knows', async (t) => {
  const app = await makeApp(t)
  await app.register(tasksDashboard, { prefix: '/~r&d-1.0_x', onRequest: [] })
  t.match((await app.inject('/~r&d-1.0_x')).body, 'src="~r%26d-1.0_x/dashboard.js"')
})

t.test('swagger describes its routes, and neither the page, its files nor the feed', async (t) => {
  const app = await makeApp(t)
  await app.register(swagger)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
  await app.ready()
  t.same(Object.keys(app.swagger().paths!), ['/dashboard/api/', '/dashboard/api/purge', '/dashboard/api/{name}', '/dashboard/api/{name}/heartbeat'])
})

t.test('it needs Fastify 5 and the tasks', async (t) => {
  t.match(Reflect.get(tasksDashboard, Symbol.for('plugin-meta')), { name: 'fastify-tasks-dashboard', fastify: '5.x', dependencies: ['fastify-tasks'] })
})

t.test('messages of errors are exposed by opt-in, on its routes and its feed', async (t) => {
  const app = await makeApp(t)
  await app.register(websocket)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [], exposeErrors: true })
  await app.ready()
  const socket = await app.injectWS('/dashboard/feed')
  t.teardown(() => socket.terminate())
  const told = new Promise<string>((resolve) => socket.on('message', (data) => { if (/"end"/.test(String(data))) resolve(String(data)) }))
  await Promise.resolve(app.addTask(() => { throw new Error('text') }, { name: 'a' })).catch(() => {})
  t.same(JSON.parse(await told).task.error, { message: 'text' })
  t.same((await app.inject('/dashboard/api/a')).json().error, { message: 'text' })
})

t.test('the hooks guard the page, its files, its routes and its feed', async (t) => {
  const app = await makeApp(t)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: async (_request, reply) => reply.code(401).send() })
  for (const path of ['', '/', '/dashboard.css', '/dashboard.js', '/plot.js', '/api', '/api/x', '/feed']) {
    t.equal((await app.inject(`/dashboard${path}`)).statusCode, 401, path)
  }
  for (const [method, path] of [['POST', '/api/purge'], ['DELETE', '/api/x'], ['POST', '/api/x/heartbeat']] as const) {
    t.equal((await app.inject({ method, url: `/dashboard${path}` })).statusCode, 401, path)
  }
})

t.test('a foreign page cannot act with the password that the browser keeps', async (t) => {
  const app = await makeApp(t)
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
    [{ onRequest: [], title: 'x' }, "Option 'title' must be one of onRequest, exposeErrors, allowedOrigins, got 'x'"]
  ] as const) {
    const app = await makeApp(t)
    await t.rejects(Promise.resolve(app.register(tasksDashboard, options as any)), { message })
  }
})

t.test('in a real browser', async (t) => {
  let browser: Browser
  try {
    browser = await openBrowser()
  } catch (error) {
    t.comment(`NO BROWSER TESTS: Chromium does not start here: ${(error as Error).message}`)
    process.stderr.write('NO BROWSER TESTS: Chromium does not start here\n')
    return
  }
  t.teardown(() => browser.close())
  /** Errors, breaches of the policy, and alerts that a task's name has brought about. */
  const complaints: string[] = []

  async function makeDashboard (t: Test, onRequest: onRequestAsyncHookHandler[] = []): Promise<FastifyInstance> {
    // A browser connects ahead of need, and Node waits for a connection on which nothing was ever asked.
    const app = await makeApp(t, { forceCloseConnections: true })
    await app.register(tasksDashboard, { prefix: '/dashboard', onRequest })
    return app
  }

  async function open (url: string, options = {}): Promise<Page> {
    const page = await browser.newPage(options)
    page.setDefaultTimeout(10_000)
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => { if (/Content.Security/.test(message.text())) complaints.push(message.text()) })
    page.on('dialog', (dialog) => complaints.push(dialog.message()))
    await page.goto(url)
    await page.waitForSelector('#connection[data-state=live]')
    return page
  }

  const row = (page: Page, name: string) => page.locator('#tasks tr', { hasText: name })

  await t.test('a task is seen to start, progress and end', async (t) => {
    const app = await makeDashboard(t)
    const page = await open(`http://${await listen(app)}/dashboard`)
    await page.locator('#empty', { hasText: 'No tasks yet' }).waitFor()
    let finish!: (error: Error) => void
    const task = app.addTask((_app, task) => { task.updateProgress(40); return new Promise((_resolve, reject) => { finish = reject }) }, { name: 'report', ttl: 60_000 })
    await row(page, 'report').locator('.badge[data-state=running]').waitFor()
    await row(page, 'report').locator('.progress', { hasText: '40 %' }).waitFor()
    t.equal(await row(page, 'report').locator('.lease progress').isVisible(), true)
    finish(Object.assign(new Error('password'), { code: 'E_DB' }))
    await t.rejects(Promise.resolve(task))
    await row(page, 'report').locator('.badge[data-state=failed]').waitFor()
    t.equal(await row(page, 'report').locator('.error').textContent(), 'E_DB')
    t.notMatch(await page.content(), /password/)
    await page.locator('#events[aria-label*="1 started"][aria-label*="1 failed"]').waitFor()
    t.equal(await page.locator('[data-total=failed]').textContent(), '1')
  })

  await t.test('a task is cancelled, and the ended are purged, when that was confirmed', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    addIdle(app, 'a/b')
    await started(app, 'a/b')
    const page = await open(`http://${address}/dashboard/`)
    await page.getByRole('button', { name: 'Cancel a/b' }).click()
    await page.getByRole('button', { name: 'Keep' }).click()
    t.equal(app.getTask('a/b')!.state, 'running')
    await page.getByRole('button', { name: 'Cancel a/b' }).focus()
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await row(page, 'a/b').locator('.badge[data-state=cancelled]').waitFor()
    t.equal(app.getTask('a/b')!.state, 'cancelled')
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.getByRole('button', { name: 'Purge', exact: true }).click()
    await page.locator('#empty', { hasText: 'No tasks yet' }).waitFor()
    t.equal(app.tasks.size, 0)
  })

  await t.test('a refusal is told, with or without words', async (t) => {
    const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
      if (request.method === 'DELETE') return await reply.code(403).send()
      if (request.method === 'POST') throw Object.assign(new Error('Not on a Friday'), { statusCode: 403 })
    }
    const app = await makeDashboard(t, [refuse])
    const address = await listen(app)
    addIdle(app, 'kept')
    addIdle(app, 'ended')
    await started(app, 'ended')
    await app.cancelTask('ended')
    const page = await open(`http://${address}/dashboard`)
    await page.getByRole('button', { name: 'Cancel kept' }).click()
    await page.getByRole('button', { name: 'Cancel the task' }).click()
    await page.locator('#notice', { hasText: '403 Forbidden' }).waitFor()
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.getByRole('button', { name: 'Purge', exact: true }).click()
    await page.locator('#notice', { hasText: 'Not on a Friday' }).waitFor()
    t.equal(await page.locator('#tasks tr').count(), 2)
    t.same(Array.from(app.tasks, ({ state }) => state), ['running', 'cancelled'])
  })

  await t.test('a name is text, and tasks are searched and filtered', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    const name = '<img src=x onerror=alert(1)>'
    for (const each of [name, '__proto__', 'plain']) addIdle(app, each)
    await started(app, 'plain')
    await app.cancelTask('plain')
    const page = await open(`http://${address}/dashboard`)
    for (const each of [name, '__proto__', 'plain']) await row(page, each).waitFor()
    t.equal(await page.locator('#tasks img').count(), 0)
    t.equal(await page.locator('#tasks tr').count(), 3)
    await page.selectOption('#filter', 'live')
    await row(page, 'plain').waitFor({ state: 'detached' })
    t.equal(await page.locator('#tasks tr').count(), 2)
    await page.fill('#search', 'PROTO')
    await row(page, name).waitFor({ state: 'detached' })
    t.equal(await row(page, '__proto__').count(), 1)
  })

  await t.test('it says that it is disconnected, and comes back with the server', async (t) => {
    const first = await makeDashboard(t)
    const address = await listen(first)
    addIdle(first, 'before')
    await started(first, 'before')
    const page = await open(`http://${address}/dashboard`)
    await row(page, 'before').waitFor()
    await first.close()
    await page.locator('#connection[data-state=lost]', { hasText: 'Disconnected, retrying' }).waitFor()
    const second = await makeDashboard(t)
    const [host, port] = address.split(':')
    await second.listen({ host, port: Number(port) })
    addIdle(second, 'after')
    await page.locator('#connection[data-state=live]').waitFor()
    await row(page, 'after').waitFor()
    // The feed tells of what there is, the list that is asked for then of what there is no more.
    await row(page, 'before').waitFor({ state: 'detached' })
    t.equal(await page.locator('#tasks tr').count(), 1)
  })

  await t.test('it holds 2,000 tasks on a phone', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    for (let i = 0; i < 2_000; i++) addIdle(app, `task:${i}`)
    await started(app, 'task:1999')
    const page = await open(`http://${address}/dashboard`, { viewport: { width: 400, height: 800 } })
    await page.waitForFunction("document.querySelectorAll('#tasks tr').length === 2000")
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 400, 'nothing sticks out')
    app.getTask('task:1999')!.updateProgress(77)
    await row(page, 'task:1999').locator('.progress', { hasText: '77 %' }).waitFor()
    t.equal(await page.locator('#tasks tr').count(), 2_000)
  })

  t.same(complaints, [], 'no page has raised an error, broken the policy or run a name')
})
