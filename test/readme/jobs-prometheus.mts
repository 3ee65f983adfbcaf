import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify({ logger: { level: 'error' } })
await app.register(fastifyTasks)
await app.register(fastifyJobs, { connection: postgres.url, queue: 'docs-prometheus' })
app.defineJob('mail', async () => 'sent')
await app.ready()
// --- the block ---
const { register } = await import('prom-client')
await (await app.addJob('mail', {})).wait()
while (!(await register.metrics()).includes('jobs_ended_total{kind="mail",state="completed"} 1')) await new Promise((resolve) => { setTimeout(resolve, 50) })
assert.match(await register.metrics(), /jobs\{state="completed"\} 1/)
await app.close()
await postgres.close()
