import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify()
await app.register(fastifyTasks)
await app.register(fastifyJobs, { connection: postgres.url, queue: 'docs-idempotency' })
const payments: string[] = []
const isPaid = async (key: string): Promise<boolean> => payments.includes(key)
const pay = async (order: number, { idempotencyKey }: { idempotencyKey: string, signal: AbortSignal }): Promise<void> => {
  payments.push(idempotencyKey)
  throw new Error('the connection broke after the payment')
}
// --- the block ---
await app.ready()
const invoice = await app.addJob('invoice', { order: 42 }, { name: 'invoice:42' })
assert.equal(await invoice.wait(), 'paid before')
assert.deepEqual(payments, ['invoice:42'])
await app.close()
await postgres.close()
