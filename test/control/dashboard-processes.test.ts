import mqemitter from 'mqemitter'
import t, { type Test } from 'tap'
import tasksDashboard from '../../lib/control/dashboard'
import { openPages } from '../fixtures/browser'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'

t.test('in a real browser', async (t) => {
  const pages = await openPages(t)
  if (pages === undefined) return
  const emitter = mqemitter()

  async function member (t: Test) {
    const app = await appWithTasks(t, { emitter })
    await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
    const address = await listen(app)
    return { app, url: `http://${address}/dashboard` }
  }

  await t.test('the tasks of all processes are shown with their process, narrowed to one, and acted on where they are', async (t) => {
    const [here, there] = [await member(t), await member(t)]
    for (const [{ app }, own] of [[here, 'here'], [there, 'there']] as const) {
      for (const name of [own, 'both']) app.addTask(untilAborted, { name })
      await started(app.getTask('both')!)
    }
    const page = await pages.open(`${here.url}?sort=name`, { viewport: { width: 1600, height: 900 } })
    const rows = page.locator('#tasks .rows [role=row]')
    await page.locator('#hits', { hasText: '4 tasks' }).waitFor()
    t.same(await rows.locator('.name a').allTextContents(), ['both', 'both', 'here', 'there'])
    t.match(await rows.first().locator('.process').innerText(), new RegExp(`· ${process.pid}`))
    t.equal(await page.locator('#processes dl').count(), 2)
    await page.getByRole('button', { name: 'Cancel there' }).click()
    await page.getByRole('button', { name: 'Cancel the task' }).click()
    await rows.filter({ hasText: 'there' }).locator('.badge[data-state=cancelled]').waitFor()
    t.equal(there.app.getTask('there')!.state, 'cancelled')
    const id = await page.locator('#process option').nth(1).getAttribute('value')
    await page.selectOption('#process', id!)
    await page.locator('#hits', { hasText: '2 of 4 tasks' }).waitFor()
    await rows.filter({ hasText: 'both' }).getByRole('button').click()
    await page.getByRole('button', { name: 'Cancel the task' }).click()
    await rows.filter({ hasText: 'both' }).locator('.badge[data-state=cancelled]').waitFor()
    t.same([here, there].map(({ app }) => app.getTask('both')!.state).sort(), ['cancelled', 'running'], 'in one of them alone')
  })

  t.same(pages.complaints, [])
})
