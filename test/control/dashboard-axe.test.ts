import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Page } from 'playwright-core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import tasksDashboard from '../../lib/control/dashboard'
import { openPages } from '../fixtures/browser'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

t.test('in a real browser', async (t) => {
  const pages = await openPages(t)
  if (pages === undefined) return
  let denied = false
  const app = await appWithTasks(t)
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => { if (denied && /api|feed/.test(request.url)) return await reply.code(401).send() }
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest, exposeErrors: true })
  const url = `http://${await listen(app)}/dashboard`

  for (const [colorScheme, width] of [['light', 1440], ['dark', 1440], ['light', 768], ['dark', 360]] as const) {
    await t.test(`axe finds nothing in any state of the page: ${colorScheme}, ${width} px`, async (t) => {
      const audit = async (page: Page, state: string): Promise<void> => {
        await page.evaluate(AXE)
        const { violations } = await page.evaluate('axe.run()') as { violations: Array<{ id: string, nodes: Array<{ html: string, failureSummary: string }> }> }
        t.same(violations.map(({ id, nodes }) => [id, nodes[0].html.slice(0, 200), nodes[0].failureSummary]), [], state)
      }
      await app.cancelTask('live')
      app.purgeTasks()
      const page = await pages.open(url, { colorScheme, viewport: { width, height: 900 } })
      await page.locator('#empty', { hasText: 'No tasks yet' }).waitFor()
      await audit(page, 'empty')
      await started(app.addTask(untilAborted, { name: 'live', ttl: 60_000 }))
      app.getTask('live')!.updateProgress(30)
      await Promise.resolve(app.addTask(() => { throw new Error('text') }, { name: 'report:1' })).catch(() => {})
      await Promise.resolve(app.addTask(() => 1, { name: 'report:2' }))
      await page.locator('.row a', { hasText: 'report:2' }).waitFor()
      if (width < 760) await page.getByRole('button', { name: 'Plots and statistics' }).click()
      await audit(page, 'some tasks')
      await page.getByRole('button', { name: 'Cancel live' }).click()
      await audit(page, 'a question')
      await page.keyboard.press('Escape')
      await page.locator('.row a', { hasText: 'report:1' }).click()
      await page.locator('#details pre').waitFor()
      await audit(page, 'details')
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: 'Pause' }).click()
      await page.fill('#search', 'nothing')
      await page.locator('#empty', { hasText: 'No matching tasks' }).waitFor()
      await audit(page, 'paused, no hits')
      denied = true
      await page.reload()
      await page.locator('#connection[data-state=denied]').waitFor()
      await audit(page, 'not authorised')
      denied = false
      await page.getByRole('button', { name: 'Try again' }).click()
      await page.locator('#connection[data-state=live]').waitFor()
      await page.getByRole('button', { name: 'Show all' }).click()
      await app.cancelTask('live')
      await page.close()
    })
  }

  await t.test('axe finds nothing while it is disconnected', async (t) => {
    const other = await appWithTasks(t)
    await other.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
    other.addTask(untilAborted, { name: 'live' })
    const page = await pages.open(`http://${await listen(other)}/dashboard`)
    await page.locator('.row a', { hasText: 'live' }).waitFor()
    await other.close()
    await page.locator('.banner').waitFor()
    await page.evaluate(AXE)
    const { violations } = await page.evaluate('axe.run()') as { violations: Array<{ id: string, nodes: Array<{ html: string, failureSummary: string }> }> }
    t.same(violations.map(({ id, nodes }) => [id, nodes[0].html.slice(0, 200), nodes[0].failureSummary]), [])
  })

  t.same(pages.complaints, [])
})
