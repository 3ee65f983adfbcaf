import { createPostgresBackend, Queue, QueueEvents, Worker, type Job } from 'bullmq'
import Fastify from 'fastify'
import { startPostgres } from '../../examples/embedded-postgres'
import fastifyTasks from '../../index'
import fastifyJobs from '../../lib/jobs'
import { startRedis } from '../../test/fixtures/redis'
import { ratio, wallTime, type Figure, type Round } from '../harness'

const KEPT = { age: 86_400, count: 1_000 }

/** Time of one named job, added, run and awaited, of many at a time. */
function each (count: number, run: (name: string) => Promise<unknown>): Round {
  let batch = 0
  return async () => {
    const prefix = `job:${++batch}`
    return await wallTime(() => Promise.all(Array.from({ length: count }, (_, i) => run(`${prefix}:${i}`)))) / count / 1_000
  }
}

/** Plain BullMQ with the same settings: named (deduplicated) and awaited. */
async function plain (count: number): Promise<Round> {
  const postgres = process.env.BENCH_STORE!.startsWith('postgres')
  const connection = (postgres ? { connectionString: process.env.BENCH_STORE, migrate: true } : JSON.parse(process.env.BENCH_STORE!)) as object
  const backend = (postgres ? createPostgresBackend : undefined) as undefined
  const queue = new Queue('plain', { connection, defaultJobOptions: { removeOnComplete: KEPT, removeOnFail: KEPT } }, backend)
  await queue.waitUntilReady()
  const looks = postgres ? { blockingTimeout: 500, drainDelay: 0.3 } : {}
  const events = new QueueEvents('plain', { connection, ...looks }, backend)
  events.setMaxListeners(0)
  queue.setMaxListeners(0)
  await events.waitUntilReady()
  const worker = new Worker('plain', async () => {}, {
    connection, concurrency: 10, lockDuration: 30_000, stalledInterval: 6_000, maxStalledCount: 10, ...looks
  }, backend)
  await worker.waitUntilReady()
  return each(count, async (name) => {
    const job = await queue.add('work', { name, data: {} }, { deduplication: { id: name } })
    await (postgres ? finished(job, events) : job.waitUntilFinished(events))
  })
}

/** On PostgreSQL some events are lost, and the engine's wait for one of those would never end: it is begun anew, and looks first. */
async function finished (job: Job, events: QueueEvents): Promise<void> {
  for (;;) {
    try {
      return await job.waitUntilFinished(events, 500)
    } catch {}
  }
}

async function jobs (count: number): Promise<Round> {
  const store = process.env.BENCH_STORE!
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.register(fastifyJobs, { connection: store.startsWith('postgres') ? store : JSON.parse(store), queue: 'jobs' })
  app.defineJob('work', async () => {})
  await app.ready()
  return each(count, async (name) => (await app.addJob('work', {}, { name })).wait())
}

function figure (store: string, count: number, before: Figure['before']): Figure {
  return {
    title: `jobs: added, run and awaited on ${store}`,
    unit: 'µs',
    floor: 'plain BullMQ',
    variants: { 'plain BullMQ': () => plain(count), addJob: () => jobs(count) },
    lines: [{ what: `a named job added, run and awaited on ${store}`, against: 'plain BullMQ', value: ratio('addJob', 'plain BullMQ'), atMost: 1.3 }],
    processes: 2,
    before
  }
}

const figures: Figure[] = [
  figure('Redis', 500, async () => {
    const server = await startRedis()
    if (server === undefined) throw new Error('There is no redis-server on this machine')
    process.env.BENCH_STORE = JSON.stringify(server.connection)
    return server.close
  }),
  figure('PostgreSQL', 20, async () => {
    const server = await startPostgres()
    process.env.BENCH_STORE = server.url
    return server.close
  })
]

export default figures
