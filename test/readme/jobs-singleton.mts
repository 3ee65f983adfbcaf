import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify({ logger: { level: 'error' } })
await app.register(fastifyTasks)
await app.register(fastifyJobs, { connection: postgres.url, queue: 'docs-singleton' })
let polls = 0
const poll = (signal: AbortSignal) => new Promise<void>((resolve) => {
  polls++
  signal.addEventListener('abort', () => resolve())
})
// --- the block ---
await app.ready()
while (polls === 0) await new Promise((resolve) => { setTimeout(resolve, 50) })
assert.equal((await app.getJob('the poller'))?.state, 'running')
await assert.rejects(async () => app.addJob('poll', {}, { name: 'the poller' }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
assert.equal(polls, 1)
const closedAt = Date.now()
await app.close()
assert.ok(Date.now() - closedAt < 5_000, 'the poller does not hold up closing')
await postgres.close()
