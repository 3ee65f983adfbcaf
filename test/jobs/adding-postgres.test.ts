import t from 'tap'
import { jobsApp } from '../fixtures/jobs-app'
import { sharedPostgres } from '../fixtures/postgres'

t.setTimeout(60_000)

const server = sharedPostgres()
t.teardown(async () => (await server).close())

t.test('a text that PostgreSQL cannot hold keeps no other job from being stored', async (t) => {
  const { url } = await server
  const app = await jobsApp(t, url, { define: (app) => app.defineJob('echo', async (_app, _task, data) => data) })
  const bad = [{ data: 'nul \0' }, { data: { 'half \ud800': 1 } }, { data: ['\\\udfff'] }, { data: 1, telemetry: { metadata: '\0' } }]
  const good = ['\\u0000', '\\\\ud800', '\u{1F600}', 'tab\t', '\u001f'].map((data) => ({ data }))
  const results = await app.addJobs('echo', [...good, ...bad])
  t.match(results.splice(good.length), bad.map(() => ({ status: 'rejected', reason: { code: 'FST_ERR_JOB_INVALID_TEXT', statusCode: 400 } })))
  for (const [i, result] of results.entries()) t.equal(result.status === 'fulfilled' && await result.value.wait(), good[i].data)
})

t.test('a result that PostgreSQL cannot hold is stored without it, and its job is not run again', async (t) => {
  const { url } = await server
  let runs = 0
  const define = (app: Parameters<NonNullable<NonNullable<Parameters<typeof jobsApp>[2]>['define']>>[0]): void => {
    app.defineJob('bad', async () => ({ run: ++runs, 'half \ud800': ['nul \0', '\\u0000'] }), { attempts: 3 })
  }
  const app = await jobsApp(t, url, { define })
  const job = await app.addJob('bad', 1)
  const expected = { run: 1, 'half \uFFFD': ['nul \uFFFD', '\\u0000'] }
  t.same(await job.wait(), expected)
  t.same((await app.getJob({ id: job.id }))!.result, expected)
})

t.test('jobs that were added together run in their order', async (t) => {
  const { url } = await server
  const ran: unknown[] = []
  const app = await jobsApp(t, url, { options: { concurrency: 1 }, define: (app) => app.defineJob('note', async (_app, _task, data) => { ran.push(data) }) })
  await app.pauseJobs()
  const order = Array.from({ length: 1_000 }, (_, i) => i)
  const jobs = await app.addJobs('note', order.map((data) => ({ data })))
  await app.resumeJobs()
  for (const job of jobs) if (job.status === 'fulfilled') await job.value.wait()
  t.same(ran, order)
})
