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
    await page.goto(`${here.url}?task=here`)
    await page.locator('#details .badge[data-state=running]').waitFor()
    await here.app.cancelTask('here')
    await page.locator('#details .badge[data-state=cancelled]').waitFor()
    await page.goto(`${here.url}?sort=name`)
    const id = await page.locator('#process option').nth(1).getAttribute('value')
    await page.selectOption('#process', id!)
    await page.locator('#hits', { hasText: '2 of 4 tasks' }).waitFor()
    await rows.filter({ hasText: 'both' }).getByRole('button').click()
    await page.getByRole('button', { name: 'Cancel the task' }).click()
    await rows.filter({ hasText: 'both' }).locator('.badge[data-state=cancelled]').waitFor()
    t.same([here, there].map(({ app }) => app.getTask('both')!.state).sort(), ['cancelled', 'running'], 'in one of them alone')
  })

  await t.test('all that match are those of the whole filter, and a process that does not answer is reported', async (t) => {
    const [here, there] = [await member(t), await member(t)]
    for (const { app } of [here, there]) {
      app.addTask(untilAborted, { name: 'both', group: app === here.app ? 'g' : 'h' })
      await started(app.getTask('both')!)
    }
    const page = await pages.open(`${here.url}?q=BOTH&group=g`)
    const cancelMatching = async () => {
      await page.locator('#cancel-matching').click()
      await page.getByRole('button', { name: 'Cancel 1 task' }).click()
    }
    await cancelMatching()
    await page.locator('#notice span', { hasText: /1 task cancelled\.$/ }).waitFor()
    t.same([here, there].map(({ app }) => app.getTask('both')!.state), ['cancelled', 'running'])
    await page.route(/(cancel|purge)$/, (route) => route.fulfill({ json: { cancelled: 0, remaining: [], purged: 1, missing: ['p'] } }))
    await page.getByRole('button', { name: 'Show all' }).click()
    await cancelMatching()
    await page.locator('#notice[data-bad=true]', { hasText: '0 tasks cancelled. 1 process did not answer.' }).waitFor()
    await page.getByRole('button', { name: 'Cancel both' }).click()
    await page.getByLabel('Reason').fill('why')
    await page.getByRole('button', { name: 'Cancel the task' }).click()
    await page.locator('#notice[data-bad=true]', { hasText: 'Not found. 1 process did not answer.' }).waitFor()
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.getByRole('button', { name: 'Purge', exact: true }).click()
    await page.locator('#notice[data-bad=true]', { hasText: '1 task removed. 1 process did not answer.' }).waitFor()
    t.equal(there.app.getTask('both')!.state, 'running')
  })

  t.same(pages.complaints, [])
})
