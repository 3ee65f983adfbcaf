import t, { type Test } from 'tap'
import type { Page } from 'playwright-core'
import tasksDashboard from '../../lib/control/dashboard'
import { kJobsControlBackend } from '../../lib/shared/control-backend'
import { openPages } from '../fixtures/browser'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'
import { FakeJobs } from '../fixtures/fake-jobs'

async function serve (t: Test, serve: 'jobs' | Array<'tasks' | 'jobs'>) {
  const now = Date.now()
  const jobs = new FakeJobs(Array.from({ length: 250 }, (_, index) => ({
    name: `mail:${index}`, kind: 'mail', queue: 'default', attempts: 1, state: 'completed', createdAt: now - 250 + index, startedAt: now, endedAt: now
  })))
  Object.assign(jobs.jobs[249], { state: 'running', endedAt: undefined })
  Object.assign(jobs.jobs[248], { name: 'thumbnail:7', kind: 'thumbnail', queue: 'media', state: 'failed', attempts: 3, error: { code: 'E_SIZE', message: 'secret' } })
  Object.assign(jobs.jobs[10], { state: 'pending', startedAt: undefined, endedAt: undefined })
  const app = await appWithTasks(t)
  app.decorate(kJobsControlBackend, jobs.backend)
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [], serve })
  return { app, jobs, url: `http://${await listen(app)}/dashboard` }
}

t.test('its jobs have routes and a feed of their own beside those of the tasks', async (t) => {
  const { app } = await serve(t, ['jobs', 'tasks'])
  t.equal((await app.inject('/dashboard/jobs-api/')).json().tasks.length, 100)
  t.same((await app.inject('/dashboard/api/')).json().tasks, [])
  for (const feed of ['feed', 'jobs-feed']) t.equal((await app.inject(`/dashboard/${feed}`)).statusCode, 426)
  t.match((await app.inject('/dashboard')).body, 'data-serve="jobs tasks"')
  const { app: other } = await serve(t, 'jobs')
  t.equal((await other.inject('/dashboard/api/')).statusCode, 404)
  t.equal((await other.inject({ method: 'POST', url: '/dashboard/jobs-api/purge', headers: { origin: 'https://evil.example' } })).statusCode, 403)
})

t.test('in a real browser', async (t) => {
  const pages = await openPages(t)
  if (pages === undefined) return
  const rows = (page: Page) => page.locator('#tasks .rows [role=row]')
  const row = (page: Page, name: string) => rows(page).filter({ has: page.getByRole('link', { name, exact: true }) })
  const link = (page: Page, name: string) => page.getByRole('navigation').getByRole('link', { name })

  await t.test('tasks and jobs have a tab each, with an address', async (t) => {
    const { app, url } = await serve(t, ['tasks', 'jobs'])
    await started(app.addTask(untilAborted, { name: 'a task' }))
    const page = await pages.open(url)
    await row(page, 'a task').waitFor()
    await link(page, 'Jobs').click()
    await row(page, 'mail:249').waitFor()
    t.equal(await row(page, 'a task').count(), 0)
    t.match(page.url(), /tab=jobs/)
    t.equal(await page.title(), 'Jobs')
    await page.reload()
    await row(page, 'mail:249').waitFor()
    await link(page, 'Tasks').click()
    await row(page, 'a task').waitFor()
    await page.goBack()
    await row(page, 'mail:249').waitFor()
  })

  await t.test('jobs are paged and filtered by the server', async (t) => {
    const { jobs, url } = await serve(t, 'jobs')
    const page = await pages.open(url, { viewport: { width: 1440, height: 900 } })
    await page.locator('#hits', { hasText: '100 of 250 jobs' }).waitFor()
    t.match(await row(page, 'thumbnail:7').innerText(), /failed\s+thumbnail\s+media\s+3[^]*E_SIZE/)
    t.notMatch(await page.content(), /secret/)
    await page.getByRole('button', { name: 'Older' }).click()
    await row(page, 'mail:149').waitFor()
    await page.getByText('page 2').waitFor()
    await page.getByRole('link', { name: 'mail:149' }).click()
    await page.locator('#details').waitFor()
    await page.goBack()
    await page.locator('#details').waitFor({ state: 'detached' })
    await page.waitForTimeout(400)
    t.equal(await page.getByText('page 2').count(), 1)
    await page.getByRole('button', { name: 'Older' }).click()
    await page.locator('#hits', { hasText: '50 of 250 jobs' }).waitFor()
    t.equal(await page.getByRole('button', { name: 'Older' }).isDisabled(), true)
    await page.getByRole('button', { name: 'Newer' }).click()
    await row(page, 'mail:149').waitFor()
    await page.selectOption('#filter', 'live')
    await row(page, 'mail:10').waitFor()
    await page.getByText('page 1').waitFor()
    t.equal(await rows(page).count(), 2)
    jobs.change('mail:249', { state: 'completed', endedAt: Date.now() }, 'end')
    await row(page, 'mail:249').waitFor({ state: 'detached' })
    await page.locator('[data-total=lately-completed]', { hasText: '1' }).waitFor()
  })

  await t.test('the panel of a job that is on another page is kept current, and leaves the list alone', async (t) => {
    const { jobs, url } = await serve(t, 'jobs')
    const page = await pages.open(`${url}?task=mail%3A10`, { viewport: { width: 1440, height: 900 } })
    const state = (state: string) => page.locator(`#details .badge[data-state=${state}]`).waitFor()
    await state('pending')
    await page.waitForTimeout(300)
    t.equal(await page.locator('#hits').textContent(), '100 of 250 jobs')
    jobs.change('mail:10', { state: 'failed', endedAt: Date.now() }, 'end')
    await state('failed')
    await page.locator('#details').getByRole('button', { name: 'Retry the job' }).click()
    await state('pending')
    t.equal(await page.locator('#hits').textContent(), '100 of 250 jobs')
  })

  await t.test('a failed job runs again, a running one is cancelled, and all that match are', async (t) => {
    const { jobs, url } = await serve(t, 'jobs')
    const page = await pages.open(url, { viewport: { width: 1440, height: 900 } })
    await page.getByRole('button', { name: 'Retry thumbnail:7' }).click()
    await page.locator('#notice', { hasText: 'thumbnail:7 runs again.' }).waitFor()
    await row(page, 'thumbnail:7').locator('.badge[data-state=pending]').waitFor()
    await page.getByRole('button', { name: 'Cancel mail:249' }).click()
    await page.getByRole('button', { name: 'Cancel the job' }).click()
    await row(page, 'mail:249').locator('.badge[data-state=cancelled]').waitFor()
    await page.fill('#search', 'mail:')
    await page.locator('#cancel-matching').click()
    t.equal(await page.locator('dialog h2').textContent(), 'Cancel 1 live job?')
    await page.getByRole('button', { name: 'Cancel 1 job' }).click()
    await page.locator('#notice', { hasText: '1 job cancelled.' }).waitFor()
    await page.locator('#cancel-matching').click()
    await page.locator('#notice', { hasText: 'No live job matches the filter.' }).waitFor()
    await page.selectOption('#filter', 'failed')
    await page.locator('#cancel-matching:disabled[title*="ended jobs only"]').waitFor()
    t.same(jobs.jobs.filter(({ state }) => state !== 'completed').map(({ name, state }) => [name, state]),
      [['mail:10', 'cancelled'], ['thumbnail:7', 'pending'], ['mail:249', 'cancelled']])
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.getByRole('button', { name: 'Purge', exact: true }).click()
    await page.locator('#notice', { hasText: '249 jobs removed.' }).waitFor()
  })

  await t.test('a job that was removed while the list is paused cannot be retried', async (t) => {
    const { url } = await serve(t, 'jobs')
    const page = await pages.open(url)
    const retry = page.getByRole('button', { name: 'Retry thumbnail:7' })
    await retry.waitFor()
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByRole('button', { name: 'Purge ended' }).click()
    await page.getByRole('button', { name: 'Purge', exact: true }).click()
    await retry.waitFor({ state: 'detached' })
    t.equal(await row(page, 'thumbnail:7').locator('.badge').textContent(), 'failed')
  })

  await t.test('queues are paused and resumed, and schedules say when they run next', async (t) => {
    const { jobs, url } = await serve(t, 'jobs')
    const page = await pages.open(url)
    await page.getByRole('button', { name: 'Pause the queue media' }).click()
    await page.getByRole('button', { name: 'Resume the queue media' }).waitFor()
    t.same([...jobs.paused], ['media'])
    await page.getByRole('button', { name: 'Resume the queue media' }).click()
    await page.getByRole('button', { name: 'Pause the queue media' }).waitFor()
    t.equal(jobs.paused.size, 0)
    t.match(await page.locator('.statistics').innerText(), /default\s+3 waiting · 2 active[^]*nightly\s+clean-up\s+0 3 \* \* \* Europe\/Berlin\s+in[^]*sync\s+sync\s+every 1 m\s+in/)
  })

  t.same(pages.complaints, [])
})
