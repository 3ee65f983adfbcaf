import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import type { Page } from 'playwright-core'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyTasksOptions } from '../../index'
import tasksDashboard from '../../lib/control/dashboard'
import { openPages } from '../fixtures/browser'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'

t.test('in a real browser', async (t) => {
  const pages = await openPages(t)
  if (pages === undefined) return
  const { open, complaints } = pages

  async function makeDashboard (t: Test, options: object = {}, tasks: FastifyTasksOptions = {}): Promise<FastifyInstance> {
    // A browser connects ahead of need, and Node waits for a connection on which nothing was ever asked.
    const app = await appWithTasks(t, tasks)
    await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [], ...options })
    return app
  }

  const rows = (page: Page) => page.locator('#tasks .rows [role=row]')
  const row = (page: Page, name: string) => rows(page).filter({ has: page.getByRole('link', { name, exact: true }) })
  const names = (page: Page) => rows(page).locator('.name a').allTextContents()
  const focused = (page: Page) => page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent') as Promise<string>

  /** Not by a function of the page's own, which its policy forbids to be made of a string. */
  async function focusComesTo (page: Page, label: string): Promise<void> {
    for (let tries = 0; tries < 100 && await focused(page) !== label; tries++) await page.waitForTimeout(50)
    if (await focused(page) !== label) throw new Error(`The focus is on '${await focused(page)}', not on '${label}'`)
  }

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
    t.equal(await row(page, 'report').locator('.outcome').textContent(), 'E_DB')
    t.notMatch(await page.content(), /password/)
    await page.locator('#events[aria-label*="1 started"][aria-label*="1 failed"]').waitFor()
    t.equal(await page.locator('[data-total=failed]').textContent(), '1')
    t.equal(await page.locator('[data-total=lately-failed]').textContent(), '1')
  })

  await t.test('a task is cancelled by keyboard alone, and the focus stays with its row', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    for (const name of ['a/b', 'c']) app.addTask(untilAborted, { name })
    await started(app.getTask('c')!)
    const page = await open(`http://${address}/dashboard/?sort=name`)
    await row(page, 'a/b').waitFor()
    await page.getByRole('button', { name: 'Cancel a/b' }).click()
    await page.getByRole('button', { name: 'Keep' }).click()
    t.equal(app.getTask('a/b')!.state, 'running')
    t.equal(await focused(page), 'Cancel a/b')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await row(page, 'a/b').locator('.badge[data-state=cancelled]').waitFor()
    t.equal(app.getTask('a/b')!.state, 'cancelled')
    await focusComesTo(page, 'a/b')
    await page.keyboard.press('ArrowDown')
    await focusComesTo(page, 'c')
    await page.keyboard.press('ArrowRight')
    t.equal(await focused(page), 'Cancel c')
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('Enter')
    await page.locator('#details').waitFor()
    t.equal(await page.evaluate('document.activeElement.id'), 'details-title')
    t.match(page.url(), /task=c/)
    await page.keyboard.press('Escape')
    await page.locator('#details').waitFor({ state: 'detached' })
    t.equal(await page.evaluate('document.activeElement.closest(".row") !== null'), true)
    t.equal(await focused(page), 'c')
    t.notMatch(page.url(), /task=/)
  })

  await t.test('a row that leaves the list hands its focus to the next, and the last to the search', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    for (const name of ['a', 'b']) app.addTask(untilAborted, { name })
    await started(app.getTask('b')!)
    const page = await open(`http://${address}/dashboard/?sort=name&state=live`)
    await row(page, 'b').waitFor()
    for (const next of ['b', 'Search names']) {
      await rows(page).first().locator('button').focus()
      await page.keyboard.press('Enter')
      await page.getByRole('button', { name: 'Cancel the task' }).click()
      await focusComesTo(page, next)
    }
  })

  await t.test('ended tasks are purged after a confirmation', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    await started(app.addTask(untilAborted, { name: 'a' }))
    await app.cancelTask('a')
    const page = await open(`http://${address}/dashboard/`)
    await row(page, 'a').waitFor()
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.locator('dialog', { hasText: 'Purge 1 ended task?' }).getByRole('button', { name: 'Purge', exact: true }).click()
    await page.locator('#empty', { hasText: 'No tasks yet' }).waitFor()
    t.equal(app.tasks.size, 0)
    await page.locator('#notice', { hasText: '1 task removed' }).waitFor()
  })

  await t.test('the page shows a refusal, with or without a message', async (t) => {
    const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
      if (request.method === 'DELETE') return await reply.code(403).send()
      if (request.method === 'POST') throw Object.assign(new Error('Not on a Friday'), { statusCode: 403 })
    }
    const app = await makeDashboard(t, { onRequest: [refuse] })
    const address = await listen(app)
    for (const name of ['kept', 'ended']) app.addTask(untilAborted, { name })
    await started(app.getTask('ended')!)
    await app.cancelTask('ended')
    const page = await open(`http://${address}/dashboard`)
    await page.getByRole('button', { name: 'Cancel kept' }).click()
    await page.getByRole('button', { name: 'Cancel the task' }).click()
    await page.locator('#notice[data-bad=true]', { hasText: '403 Forbidden' }).waitFor()
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.getByRole('button', { name: 'Purge', exact: true }).click()
    await page.locator('#notice', { hasText: 'Not on a Friday' }).waitFor()
    t.equal(await rows(page).count(), 2)
    t.same(Array.from(app.tasks, ({ state }) => state), ['running', 'cancelled'])
  })

  await t.test('names are shown as text, with their invisible characters', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    const tasks = ['<img src=x onerror=alert(1)>', '__proto__', 'evil\u2066gpj\u2069.exe', '   ', 'n'.repeat(300)]
    for (const each of tasks) app.addTask(untilAborted, { name: each })
    await started(app.getTask('n'.repeat(300))!)
    const page = await open(`http://${address}/dashboard?sort=name`)
    await row(page, '__proto__').waitFor()
    t.equal(await page.locator('#tasks img').count(), 0)
    t.same((await names(page)).sort(), ['<img src=x onerror=alert(1)>', '__proto__', 'evilU+2066gpjU+2069.exe', 'n'.repeat(300), 'spacespacespace'].sort())
    for (const [label, name] of [['Cancel evil[U+2066]gpj[U+2069].exe', 'evil\u2066gpj\u2069.exe'], ['Cancel [space][space][space]', '   '], [`Cancel ${'n'.repeat(300)}`, 'n'.repeat(300)]]) {
      await page.getByRole('button', { name: label, exact: true }).click()
      t.equal(await page.locator('dialog h2').textContent(), `${label.replaceAll(/[[\]]/g, '')}?`)
      await page.getByRole('button', { name: 'Cancel the task' }).click()
      await page.locator('#notice', { hasText: 'is cancelled' }).waitFor()
      await page.locator('#notice button').click()
      t.equal(app.getTask(name)!.state, 'cancelled')
    }
  })

  await t.test('tasks are searched, filtered and sorted, and the address brings the view back', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    for (const each of ['report:1', 'report:10', 'report:9', 'plain']) app.addTask(untilAborted, { name: each })
    await started(app.getTask('plain')!)
    await app.cancelTask('plain')
    const page = await open(`http://${address}/dashboard?keep=this`)
    await page.selectOption('#filter', 'live')
    await row(page, 'plain').waitFor({ state: 'detached' })
    await page.fill('#search', 'PORT:1')
    await row(page, 'report:9').waitFor({ state: 'detached' })
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click()
    t.same(await names(page), ['report:1', 'report:10'])
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click()
    t.same(await names(page), ['report:10', 'report:1'])
    t.equal(await page.locator('[role=columnheader][aria-sort=descending]').textContent(), 'Name ↓')
    t.equal(new URL(page.url()).search, '?keep=this&q=PORT%3A1&state=live&sort=name.desc')
    await page.reload()
    await row(page, 'report:10').waitFor()
    t.same(await names(page), ['report:10', 'report:1'])
    t.equal(await page.inputValue('#search'), 'PORT:1')
    await page.locator('#hits', { hasText: '2 of 4 tasks' }).waitFor()
    await page.fill('#search', 'nothing like it')
    await page.locator('#empty', { hasText: 'No matching tasks' }).waitFor()
    await page.getByRole('button', { name: 'Show all' }).click()
    await row(page, 'plain').waitFor()
  })

  await t.test('all that match are cancelled, after a question that says how many, with a reason', async (t) => {
    const app = await makeDashboard(t, { exposeErrors: true })
    const address = await listen(app)
    for (const name of ['report:1', 'report:2', 'mail:1', 'Report:3']) app.addTask(untilAborted, { name, group: name[0] })
    await started(app.getTask('Report:3')!)
    const page = await open(`http://${address}/dashboard?sort=name`)
    const cancel = async (question: string, button: string, reason = ''): Promise<void> => {
      await page.locator('#cancel-matching').click()
      t.equal(await page.locator('dialog h2').textContent(), question)
      await page.getByLabel('Reason').fill(reason)
      await page.getByRole('button', { name: button }).click()
    }
    await page.fill('#search', 'report:')
    await page.locator('#hits', { hasText: '3 of 4 tasks' }).waitFor()
    await page.selectOption('#group', 'r')
    await cancel('Cancel 2 live tasks?', 'Cancel 2 tasks', 'a new version')
    await page.locator('#notice', { hasText: '2 tasks cancelled.' }).waitFor()
    await row(page, 'report:1').locator('.outcome', { hasText: 'a new version' }).waitFor()
    t.same(['report:1', 'Report:3', 'mail:1'].map((name) => app.getTask(name)!.state), ['cancelled', 'running', 'running'])
    await page.getByRole('button', { name: 'Show all' }).click()
    await page.selectOption('#filter', 'ended')
    await page.locator('#cancel-matching:disabled[title*="ended tasks only"]').waitFor()
    await page.selectOption('#filter', '')
    await cancel('Cancel 2 live tasks?', 'Keep them')
    t.equal(app.tasks.live, 2)
    await page.getByRole('button', { name: 'Pause' }).click()
    app.addTask(untilAborted, { name: 'unseen' })
    await page.locator('[data-total=live]', { hasText: '3' }).waitFor()
    await cancel('Cancel 3 live tasks?', 'Cancel 3 tasks')
    await page.locator('#notice', { hasText: '3 tasks cancelled.' }).waitFor()
    t.equal(app.tasks.live, 0)
  })

  await t.test('tasks that no URL can name are cancelled and renewed like any other', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    const long = '日'.repeat(20_000)
    const odd = [long, '.', '..', '\ud800']
    for (const name of odd) app.addTask(untilAborted, { name, ttl: 60_000 })
    await started(app.getTask('\ud800')!)
    const page = await open(`http://${address}/dashboard?sort=name`)
    for (const [name, label] of [['.', '.'], ['..', '..'], ['\ud800', 'U+D800'], [long, long]]) {
      await page.getByRole('link', { name: label, exact: true }).click()
      await page.getByRole('button', { name: 'Renew the lease' }).click()
      await page.locator('#notice', { hasText: name === label && name !== long ? 'is renewed' : 'No URL can hold this name' }).waitFor()
      await page.getByRole('button', { name: 'Cancel the task…' }).click()
      await page.getByRole('button', { name: 'Cancel the task', exact: true }).click()
      await page.locator('#notice', { hasText: 'is cancelled' }).waitFor()
      await page.getByRole('button', { name: 'Dismiss' }).click()
      t.equal(app.getTask(name)!.state, 'cancelled')
    }
  })

  await t.test('groups and name prefixes have numbers of their own, and the process says which it is', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    app.addTask(untilAborted, { name: 'report:live', group: 'g' })
    await app.addTask(() => 1, { name: 'report:1', group: 'g' })
    await Promise.resolve(app.addTask(() => { throw new Error() }, { name: 'report:2' })).catch(() => {})
    const page = await open(`http://${address}/dashboard`)
    const numbers = (label: string) => page.locator('.statistics tr', { has: page.getByRole('button', { name: label, exact: true }) }).locator('td').allTextContents()
    await page.locator('.statistics tr', { hasText: 'no group' }).waitFor()
    t.match(await numbers('g'), ['1', '1', '0 %', /ms/, /ms/])
    await page.getByRole('button', { name: 'name', exact: true }).click()
    t.match(await numbers('report:*'), ['1', '2', '50 %', /ms/, /ms/])
    await page.getByRole('button', { name: 'report:*' }).click()
    t.match(page.url(), /prefix=report%3A/)
    await page.getByRole('button', { name: 'Remove: Name begins with report:' }).click()
    t.notMatch(page.url(), /prefix/)
    t.match(await page.locator('#processes').innerText(), new RegExp(`${hostname()} · pid ${process.pid}[^]*up[^]*heap[^]*MiB[^]*loop delay[^]*ms`))
  })

  await t.test('one task has a panel with an address of its own', async (t) => {
    const app = await makeDashboard(t, { exposeErrors: true })
    const address = await listen(app)
    const failed = app.addTask(async () => { throw Object.assign(new Error('no table'), { code: 'E_DB' }) }, { name: 'import:1' })
    await t.rejects(Promise.resolve(failed))
    await started(app.addTask(untilAborted, { name: 'leased', ttl: 60_000 }))
    app.getTask('leased')!.updateProgress({ rows: 7, file: '\u202egpj.exe' })
    const page = await open(`http://${address}/dashboard?task=import%3A1`)
    const details = page.locator('#details')
    await details.locator('pre', { hasText: 'Error: no table\n    at' }).waitFor()
    t.match(await details.innerText(), /import:1[^]*failed[^]*E_DB no table[^]*Added[^]*(ago|just now)[^]*Ended[^]*Ran for/)
    await page.locator('.row a', { hasText: 'leased' }).click()
    await details.locator('pre', { hasText: '"rows": 7,\n  "file": "[U+202E]gpj.exe"' }).waitFor()
    await details.getByRole('button', { name: 'Renew the lease' }).click()
    await page.locator('#notice', { hasText: 'The lease of leased is renewed.' }).waitFor()
    await details.getByRole('button', { name: 'Cancel the task…' }).click()
    await page.getByRole('button', { name: 'Cancel the task', exact: true }).click()
    await details.locator('.badge[data-state=cancelled]').waitFor()
    await focusComesTo(page, 'leased')
    t.equal(await page.evaluate('document.activeElement.id'), 'details-title')
    await page.goBack()
    await details.locator('pre', { hasText: 'no table' }).waitFor()
    await page.goto(`http://${address}/dashboard?task=nobody`)
    await details.locator('p', { hasText: 'The task was not found' }).waitFor()
  })

  await t.test('while paused, the rows stay as they are and the counts continue', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    await started(app.addTask(untilAborted, { name: 'a' }))
    const page = await open(`http://${address}/dashboard`)
    await row(page, 'a').waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    app.addTask(untilAborted, { name: 'b' })
    await app.cancelTask('a')
    await page.locator('[data-total=cancelled]', { hasText: '1' }).waitFor()
    await page.locator('[data-total=live]', { hasText: '1' }).waitFor()
    t.same(await names(page), ['a'])
    t.equal(await row(page, 'a').locator('.badge').textContent(), 'running')
    await row(page, 'a').getByRole('button').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Resume' }).click()
    await row(page, 'b').waitFor()
    t.equal(await row(page, 'a').locator('.badge').textContent(), 'cancelled')
    await page.getByRole('button', { name: 'Pause' }).click()
    await app.cancelTask('b')
    app.purgeTasks()
    await page.locator('[data-total=live]', { hasText: '0' }).waitFor()
    await page.locator('[data-total=cancelled]', { hasText: '0' }).waitFor()
    t.equal(await page.locator('#hits').textContent(), '2 tasks')
  })

  await t.test('while disconnected, nothing moves and all actions are off, until the server is back', async (t) => {
    const first = await makeDashboard(t)
    const address = await listen(first)
    await started(first.addTask(untilAborted, { name: 'before', ttl: 60_000 }))
    const page = await open(`http://${address}/dashboard`)
    await row(page, 'before').waitFor()
    await first.close()
    await page.locator('#connection[data-state=lost]', { hasText: 'Disconnected, retrying' }).waitFor()
    await page.locator('.banner', { hasText: 'What is shown is as of' }).waitFor()
    for (const button of [row(page, 'before').locator('button'), page.locator('#cancel-matching'), page.locator('#purge')]) t.equal(await button.isDisabled(), true)
    const text = await row(page, 'before').innerText()
    await page.waitForTimeout(2_100)
    t.equal(await row(page, 'before').innerText(), text, 'ages and leases stand still')
    const second = await makeDashboard(t)
    const [host, port] = address.split(':')
    await second.listen({ host, port: Number(port) })
    second.addTask(untilAborted, { name: 'after' })
    await page.locator('#connection[data-state=live]').waitFor()
    await row(page, 'after').waitFor()
    await row(page, 'before').waitFor({ state: 'detached' })
    t.equal(await rows(page).count(), 1)
  })

  await t.test('a server that hangs is not shown as live', async (t) => {
    const app = await makeDashboard(t)
    const page = await open(`http://${await listen(app)}/dashboard`)
    await page.evaluate('{ const { timeout } = AbortSignal; AbortSignal.timeout = () => timeout.call(AbortSignal, 300) }')
    await page.route('**/api/**', () => {})
    await page.locator('#connection[data-state=lost]').waitFor()
    await app.addTask(() => {}, { name: 'meanwhile' })
    await page.evaluate('requestAnimationFrame = () => 0')
    await page.unroute('**/api/**')
    await page.locator('#connection[data-state=live]').waitFor()
    await page.locator('#hits', { hasText: /^1 task$/ }).waitFor()
  })

  await t.test('a connection that the user has opened again is kept, and is the only one', async (t) => {
    const app = await makeDashboard(t)
    const sockets = new Set<Duplex>()
    app.server.on('upgrade', (_request, socket) => { sockets.add(socket.on('close', () => sockets.delete(socket))) })
    const page = await open(`http://${await listen(app)}/dashboard`)
    let answer!: () => void
    const gate = new Promise<void>((resolve) => { answer = resolve })
    await page.route('**/api/?limit=1', async (route) => { await gate; await route.continue() })
    for (const socket of sockets) socket.destroy()
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.locator('#connection[data-state=live]').waitFor()
    const answered = page.waitForResponse('**/api/?limit=1')
    answer()
    await answered
    await page.waitForTimeout(200)
    t.equal(await page.locator('#connection').getAttribute('data-state'), 'live')
    t.equal(sockets.size, 1)
  })

  await t.test('a page that is not seen takes what happens, and keeps no more than the server', async (t) => {
    const app = await makeDashboard(t, {}, { keepEnded: 10 })
    const page = await open(`http://${await listen(app)}/dashboard`)
    await page.evaluate('requestAnimationFrame = () => 0')
    await app.addTask(() => {}, { name: 'before' })
    await page.waitForTimeout(100)
    await page.evaluate('Object.defineProperty(document, "hidden", { value: true }); document.dispatchEvent(new Event("visibilitychange"))')
    await page.locator('[data-total=completed]', { hasText: '1' }).waitFor()
    for (let i = 0; i < 600; i++) await app.addTask(() => {}, { name: `task:${i}` })
    await page.locator('[data-total=lately-completed]', { hasText: '601' }).waitFor()
    await page.locator('[data-total=completed]', { hasText: /^10$/ }).waitFor()
  })

  await t.test('a user without access is told so, and the page stops asking', async (t) => {
    let asked = 0
    let status = 0
    const guard = async (request: FastifyRequest, reply: FastifyReply) => {
      if (status === 0 || !/api|feed/.test(request.url)) return
      asked++
      return await reply.code(status).send({ message: 'Session expired' })
    }
    const app = await makeDashboard(t, { onRequest: [guard] })
    const address = await listen(app)
    for (status of [401, 403]) {
      const page = await open(`http://${address}/dashboard`, {}, '#connection[data-state=denied]')
      t.equal(await page.locator('#connection').textContent(), 'Not authorised')
      await page.locator('.banner', { hasText: 'Session expired' }).waitFor()
      await page.locator('#empty', { hasText: 'The tasks could not be loaded' }).waitFor()
      const before = asked
      await page.waitForTimeout(2_500)
      t.equal(asked, before)
      status = 0
      await page.getByRole('button', { name: 'Try again' }).click()
      await page.locator('#connection[data-state=live]').waitFor()
      await page.close()
    }
  })

  await t.test('behind a proxy that changes the Host the page says what to set', async (t) => {
    const app = await appWithTasks(t, {}, { rewriteUrl: (request) => { request.headers.host = 'inner.example'; return request.url! } })
    await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
    const page = await open(`http://${await listen(app)}/dashboard`, {}, '#connection[data-state=denied]')
    t.equal(await page.locator('#connection').textContent(), 'Origin not allowed')
    t.match(await page.locator('.banner').innerText(), /trustProxy[^]*allowedOrigins/)
  })

  await t.test('replies wrapped by a hook are reported, not shown as an empty list', async (t) => {
    const app = await appWithTasks(t)
    app.addHook('onSend', async (_request, reply, payload) => /json/.test(String(reply.getHeader('content-type'))) ? `{"data":${String(payload)}}` : payload)
    await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
    const page = await open(`http://${await listen(app)}/dashboard`, {}, '#connection[data-state=lost]')
    await page.locator('.banner', { hasText: 'The list of tasks has an unknown form. A hook of the app may change its replies' }).waitFor()
    t.equal(await page.locator('#empty', { hasText: 'No tasks yet' }).count(), 0)
  })

  await t.test('of 2,000 tasks only those in view are in the document, and the others are one key away', async (t) => {
    const app = await makeDashboard(t)
    const address = await listen(app)
    for (let i = 0; i < 2_000; i++) app.addTask(untilAborted, { name: `task:${i}` })
    await started(app.getTask('task:1999')!)
    for (const width of [320, 400, 768, 820, 1280, 2560]) {
      const page = await open(`http://${address}/dashboard?sort=name`, { viewport: { width, height: 800 } })
      await page.locator('#hits', { hasText: '2,000 tasks' }).waitFor()
      await rows(page).first().waitFor()
      t.ok(await rows(page).count() < 60)
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `nothing sticks out at ${width} px`)
      // In one step: the list may be shown anew at any moment.
      const nameWidth = await page.evaluate('document.querySelector("#tasks .rows [role=row] .name").getBoundingClientRect().width') as number
      t.ok(nameWidth > 100, `the name has room at ${width} px`)
      await rows(page).first().locator('a').focus()
      await page.keyboard.press('End')
      await focusComesTo(page, 'task:1999')
      app.getTask('task:1999')!.updateProgress(width % 100)
      await row(page, 'task:1999').getByText(`${width % 100} %`).waitFor()
      await page.close()
    }
  })

  await t.test('the colours follow the system, or the switch, which is remembered', async (t) => {
    const app = await makeDashboard(t)
    const page = await open(`http://${await listen(app)}/dashboard`, { colorScheme: 'dark' })
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor') as Promise<string>
    const dark = await background()
    await page.getByLabel('Colours').selectOption('light')
    t.not(await background(), dark)
    await page.reload()
    await page.waitForSelector('#connection[data-state=live]')
    t.not(await background(), dark)
    await page.emulateMedia({ colorScheme: 'light' })
    await page.getByLabel('Colours').selectOption('dark')
    t.equal(await background(), dark)
  })

  t.same(complaints, [], 'no page has raised an error, broken the policy or run a name')
})
