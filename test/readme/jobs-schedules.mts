import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify({ logger: { level: 'error' } })
await app.register(fastifyTasks)
await app.register(fastifyJobs, { connection: postgres.url, queue: 'docs-schedules' })
app.defineJob('clean-up', async () => 'cleaned up')
// --- the block ---
await app.ready()
const [schedule] = await app.schedules()
assert.equal(schedule.name, 'nightly')
assert.equal(new Date(schedule.next!).toLocaleTimeString('de-DE', { timeZone: 'Europe/Berlin' }), '03:00:00')
assert.equal(await app.unscheduleJob('nightly'), true)
await app.close()
await postgres.close()
