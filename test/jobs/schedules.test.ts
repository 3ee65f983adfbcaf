import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { jobsApp, newQueue } from '../fixtures/jobs-app'
import { sharedPostgres } from '../fixtures/postgres'

t.setTimeout(60_000)

const server = sharedPostgres()
t.teardown(async () => (await server).close())

t.test('what cannot be a schedule is refused by name, and nothing is stored', async (t) => {
  const app = await jobsApp(t, (await server).url, {
    define: (app) => app.defineJob('kind', async () => {}, { schema: { type: 'object' } })
  })
  const kind = 'kind'
  await t.rejects(app.scheduleJob('nightly', { kind, every: 1, data: 'text' }), { code: 'FST_ERR_JOB_INVALID_DATA' })
  await t.rejects(app.scheduleJob('nightly', { kind: 'other', every: 1 }), { code: 'FST_ERR_JOB_UNKNOWN_KIND' })
  await t.rejects(app.scheduleJob('nightly', { kind }), { code: 'FST_ERR_JOB_INVALID_OPTION' })
  await t.rejects(app.scheduleJob('', { kind, every: 1 }), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
  await t.rejects(app.scheduleJob('nul \0', { kind, every: 1 }), { code: 'FST_ERR_JOB_INVALID_TEXT' })
  await t.rejects(app.unscheduleJob(''), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
  t.same(await app.schedules(), [])
})

t.test('a schedule is changed by the same call, tells its next time, and runs the job under its own name', async (t) => {
  const seen: unknown[] = []
  const app = await jobsApp(t, (await server).url, {
    options: { queues: { default: 1, media: 1 } },
    define: (app) => {
      app.defineJob('kind', async (_app, _task, data, job) => { seen.push([data, job]) })
      app.defineJob('media', async () => {}, { queue: 'media', expiresIn: 60_000 })
    }
  })
  const berlin = await app.scheduleJob('nightly', { kind: 'kind', pattern: '0 3 * * *', tz: 'Europe/Berlin' })
  t.match(berlin, { name: 'nightly', kind: 'kind', queue: 'default', pattern: '0 3 * * *', tz: 'Europe/Berlin', next: Number })
  t.equal(new Intl.DateTimeFormat('en', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(berlin.next), '03:00')
  t.match(await app.scheduleJob('nightly', { kind: 'media', every: 3_600_000 }), { queue: 'media', every: 3_600_000 })
  t.match(await app.schedules(), [{ name: 'nightly', queue: 'media' }])
  t.equal((await app.schedules()).length, 1, 'and is no longer in the queue where it was')

  await app.scheduleJob('often', { kind: 'kind', data: { n: 1 }, every: 200, limit: 2, attempts: 3 })
  while (seen.length < 2) await sleep(20)
  t.match(seen, [[{ n: 1 }, { name: 'often', kind: 'kind', attempts: 1 }], [{ n: 1 }, { name: 'often' }]])
  t.match(await app.getJob('often'), { kind: 'kind', createdAt: Number })
  await sleep(500)
  t.equal(seen.length, 2, 'up to its limit')
  t.same((await app.schedules()).map(({ name }) => name), ['nightly'], 'and is not listed any more')
  for await (const job of app.jobs()) t.fail(`${job.name} is listed`)
})

t.test('processes that give a schedule kinds of two queues at once leave one of the two', async (t) => {
  const { url } = await server
  const options = { queue: newQueue(), queues: { default: 1, media: 1 }, worker: false }
  const define = (app: FastifyInstance): void => {
    app.defineJob('kind', async () => {})
    app.defineJob('media', async () => {}, { queue: 'media' })
  }
  const [one, other] = [await jobsApp(t, url, { options, define }), await jobsApp(t, url, { options, define })]
  for (let i = 0; i < 10; i++) {
    await Promise.all([one.scheduleJob(`s${i}`, { kind: 'kind', every: 3_600_000 }), other.scheduleJob(`s${i}`, { kind: 'media', every: 3_600_000 })])
    t.equal((await one.schedules()).filter(({ name }) => name === `s${i}`).length, 1)
  }
})

t.test('a run whose predecessor is still live is left out, and logged; so are times that nobody could run', async (t) => {
  let release = (): void => {}
  const app = await jobsApp(t, (await server).url, {
    define: (app) => app.defineJob('slow', () => new Promise<void>((resolve) => { release = resolve }))
  })
  await app.scheduleJob('slow', { kind: 'slow', every: 100 })
  while (!app.lines.some(({ msg }) => /still live/.test(msg))) await sleep(20)
  t.match(app.lines.find(({ msg }) => /still live/.test(msg)), { level: 40, schedule: 'slow' })
  await app.jobQueue().pause()
  await sleep(400)
  await app.jobQueue().resume()
  while (!app.lines.some(({ msg }) => /could run the schedule in time/.test(msg))) await sleep(20)
  t.match(app.lines.find(({ msg }) => /in time/.test(msg)), { level: 40, schedule: 'slow', left: Number, due: String })
  await app.unscheduleJob('slow')
  release()
})
