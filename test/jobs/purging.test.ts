import { setTimeout as sleep } from 'node:timers/promises'
import { DEFAULT_SCHEMA } from 'bullmq'
import { Client } from 'pg'
import t from 'tap'
import { removeEnded } from '../../lib/jobs/purging'
import { jobsApp } from '../fixtures/jobs-app'
import { MemoryQueue } from '../fixtures/memory-engine'
import { sharedPostgres } from '../fixtures/postgres'

t.setTimeout(170_000)

t.test('a purge on PostgreSQL keeps a job that is being retried', async (t) => {
  const { url, close } = await sharedPostgres()
  t.teardown(close)
  const app = await jobsApp(t, url, { define: (app) => app.defineJob('fails', async (_app, _task, _data, { attempts }) => { if (attempts === 1) throw new Error('no') }) })
  const jobs = await Promise.all(['kept', 'purged'].map((name) => app.addJob('fails', null, { name })))
  for (const job of jobs) await t.rejects(job.wait(), { message: 'no' })
  const { name: queue } = app.jobQueue()

  const other = new Client(url)
  await other.connect()
  t.teardown(() => other.end())
  await other.query(`SET search_path TO ${DEFAULT_SCHEMA}; BEGIN`)
  await other.query("SELECT reprocess_job($1, $2, 'failed', false, true, false)", [queue, jobs[0].id])
  const purged = app.purgeJobs()
  await sleep(300)
  await other.query('COMMIT')
  t.equal(await purged, 1)
  await jobs[0].wait()
  t.equal((await app.getJob('kept'))?.state, 'completed')
  t.equal(await app.getJob('purged'), undefined)
  t.equal(await app.purgeJobs(), 1)
  t.equal(await app.purgeJobs(), 0)
})

t.test('a purge that a deadlock has ended is tried again, a few times', async (t) => {
  for (const [code, deadlocks, tries, outcome] of [['40P01', 2, 3, 7], ['40P01', 9, 5, '40P01'], ['57P01', 9, 1, '57P01']] as const) {
    let asked = 0
    const queue = new MemoryQueue().withPool(async () => {
      if (++asked <= deadlocks) throw Object.assign(new Error('no'), { code })
      return { rowCount: 7 }
    })
    t.equal(await removeEnded(queue as never, { state: 'failed', before: 1, limit: 5 }).catch((error) => error.code), outcome)
    t.equal(asked, tries)
  }
})
