import pg from 'pg'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify({ logger: { level: 'error' } })
await app.register(fastifyTasks)
await app.register(fastifyJobs, { connection: postgres.url, queue: 'docs-transaction' })
app.defineJob('confirm', async () => 'confirmed')
await app.ready()
const client = new pg.Client(postgres.url)
await client.connect()
await client.query('CREATE TEMPORARY TABLE orders (id int)')
// --- the block ---
await client.query('BEGIN')
await app.addJob('confirm', { order: 43 }, { name: 'confirm:43', transaction: client })
await client.query('ROLLBACK')
assert.equal(await app.getJob('confirm:43'), undefined)
await client.end()
await app.close()
await postgres.close()
