import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify()
await app.register(fastifyTasks)
await app.register(fastifyJobs, { connection: postgres.url, queue: 'docs-api' })
app.defineJob('mail', async (app, task, data) => { if (data === 'b') throw new Error('no such address') }, { backoff: 100 })
await app.ready()
// --- the block ---
await app.close()
await postgres.close()
