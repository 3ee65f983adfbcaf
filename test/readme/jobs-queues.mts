import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
const app = Fastify({ logger: { level: 'error' } })
await app.register(fastifyTasks)
process.env.DATABASE_URL = postgres.url
const transcode = async (): Promise<string> => 'transcoded'
const send = async (): Promise<string> => 'sent'
// --- the block ---
await app.ready()
const [video, mail] = await Promise.all([app.addJob('transcode', {}), app.addJob('mail', {})])
assert.equal(video.queue, 'media')
assert.equal(mail.queue, 'default')
assert.deepEqual(await Promise.all([video.wait(), mail.wait()]), ['transcoded', 'sent'])
await app.close()
await postgres.close()
