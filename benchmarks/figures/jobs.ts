import { setTimeout as sleep } from 'node:timers/promises'
import { createPostgresBackend, Queue, QueueEvents, Worker, type Job } from 'bullmq'
import Fastify, { type FastifyInstance } from 'fastify'
import { startPostgres } from '../../examples/embedded-postgres'
import fastifyTasks from '../../index'
import fastifyJobs from '../../lib/jobs'
import { startRedis } from '../../test/fixtures/redis'
import { controlBackendOf, kJobsControlBackend } from '../../lib/shared/control-backend'
import { ratio, wallTime, type Figure, type Round } from '../harness'

const KEPT = { age: 86_400, count: 1_000 }

/** So many of a round, whatever number of them at a time. */
const JOBS = 200

/** Time of one named job, added, run and awaited, so many at a time. */
function each (count: number, run: (name: string) => Promise<unknown>): Round {
  let batch = 0
  return async () => await wallTime(async () => {
    for (let i = 0; i < JOBS; i += count) {
      const prefix = `job:${++batch}`
      await Promise.all(Array.from({ length: count }, (_, j) => run(`${prefix}:${j}`)))
    }
  }) / JOBS / 1_000
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
  const app = await appOn('jobs')
  return each(count, async (name) => (await app.addJob('work', {}, { name })).wait())
}

function figure (store: string, count: number, before: Figure['before']): Figure {
  const how = count === 1 ? 'alone' : `${count} at a time`
  return {
    title: `jobs: added, run and awaited, ${how}, on ${store}`,
    unit: 'µs',
    floor: 'plain BullMQ',
    variants: { 'plain BullMQ': () => plain(count), addJob: () => jobs(count) },
    lines: [{ what: `a named job added, run and awaited, ${how}, on ${store}`, against: 'plain BullMQ', value: ratio('addJob', 'plain BullMQ'), atMost: 1.15 }],
    processes: 2,
    before
  }
}

async function appOn (queue: string, options: object = {}, kinds = ['work']): Promise<FastifyInstance> {
  const store = process.env.BENCH_STORE!
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.register(fastifyJobs, { connection: store.startsWith('postgres') ? store : JSON.parse(store), queue, ...options })
  for (const kind of kinds) app.defineJob(kind, async () => {})
  await app.ready()
  return app
}

function list (prefix: string, count: number): Array<{ data: object, name: string }> {
  return Array.from({ length: count }, (_, i) => ({ data: {}, name: `${prefix}:${i}` }))
}

/** An app whose jobs are not run, with so many that wait and so many that have ended. */
async function keeping (waiting: number, ended: number): Promise<FastifyInstance> {
  const app = await appOn(`keeping-${waiting}-${ended}-${process.pid}`, { removeOnComplete: false, concurrency: 50 })
  await app.addJobs('work', list('ended', ended))
  while ((await app.jobCounts()).completed < ended) await sleep(100)
  await app.pauseJobs()
  await app.addJobs('work', list('waiting', waiting))
  // A store that has taken so much tidies its files.
  await sleep((waiting + ended) / 20)
  return app
}

const LOOKUPS = 200

async function lookups (kept: number, name: string): Promise<Round> {
  const app = await keeping(1, kept)
  return async () => await wallTime(async () => { for (let i = 0; i < LOOKUPS; i++) await app.getJob(name) }) / LOOKUPS / 1_000
}

async function pages (waiting: number): Promise<Round> {
  const backend = controlBackendOf(await keeping(waiting, 0), kJobsControlBackend)!
  return async () => await wallTime(async () => { for (let i = 0; i < 10; i++) await backend.list({ limit: 100 }) }) / 10 / 1_000
}

/** Time of a job, of so many that are added together and awaited at once. */
async function waits (count: number): Promise<Round> {
  const app = await appOn(`waits-${count}-${process.pid}`, { concurrency: 50 })
  let batch = 0
  return async () => await wallTime(async () => {
    const added = await app.addJobs('work', list(`waits:${++batch}`, count))
    await Promise.all(added.map((result) => (result as PromiseFulfilledResult<any>).value.wait()))
  }) / count / 1_000
}

async function cancels (count: number, areAtOnce: boolean): Promise<Round> {
  const app = await keeping(0, 0)
  let batch = 0
  return async () => {
    const jobs = list(`cancels:${process.pid}:${++batch}`, count)
    await app.addJobs('work', jobs)
    return await wallTime(async () => {
      if (areAtOnce) await Promise.all(jobs.map(({ name }) => app.cancelJob(name)))
      else for (const { name } of jobs) await app.cancelJob(name)
    }) / count / 1_000
  }
}

/** Time of a job that is added and awaited, beside so many of a kind that nobody works. */
async function besideOrphans (count: number): Promise<Round> {
  const queue = `orphans-${count}-${process.pid}`
  await appOn(queue)
  const app = await appOn(queue, { worker: false }, ['work', 'orphan'])
  await app.addJobs('orphan', list('orphan', count))
  // Each of them comes to a worker once.
  while ((await app.jobCounts()).delayed < count) await sleep(200)
  return async () => await wallTime(async () => { for (let i = 0; i < 20; i++) await (await app.addJob('work', {})).wait() }) / 20 / 1_000
}

async function adds (count: number, way: 'one by one' | 'at once' | 'addJobs'): Promise<Round> {
  const app = await keeping(0, 0)
  let batch = 0
  return async () => {
    const list = Array.from({ length: count }, (_, i) => ({ data: {}, name: `${process.pid}:${++batch}:${i}` }))
    return await wallTime(async () => {
      if (way === 'addJobs') await app.addJobs('work', list)
      else if (way === 'one by one') for (const { data, name } of list) await app.addJob('work', data, { name })
      else await Promise.all(list.map(({ data, name }) => app.addJob('work', data, { name })))
    }) / count / 1_000
  }
}

/** What does not grow with what is kept, and what many at once cost. */
function growth (store: string, kept: number, many: number, before: Figure['before']): Figure[] {
  const lookup = (what: string, name: string): Figure => ({
    title: `jobs: ${what} looked up by its name on ${store}`,
    unit: 'µs',
    floor: 'beside 10',
    variants: { 'beside 10': () => lookups(10, name), 'beside many': () => lookups(kept, name) },
    lines: [{ what: `${what} beside ${kept} kept ones on ${store}`, against: 'beside 10', value: ratio('beside many', 'beside 10'), atMost: 1.5 }],
    processes: 2,
    before
  })
  return [
    lookup('a live job', 'waiting:0'), lookup('an ended job', 'ended:0'), lookup('an unknown name', 'nobody'),
    {
      title: `jobs: a page of 100 on ${store}`,
      unit: 'µs',
      floor: 'of 1,000',
      variants: { 'of 1,000': () => pages(1_000), 'of many': () => pages(kept) },
      lines: [{ what: `a page of 100 of ${kept} jobs on ${store}`, against: 'of 1,000', value: ratio('of many', 'of 1,000'), atMost: 1.5 }],
      processes: 2,
      before
    },
    {
      title: `jobs: awaited at once on ${store}`,
      unit: 'µs',
      floor: 'of 100',
      variants: { 'of 100': () => waits(100), 'of many': () => waits(many) },
      lines: [{ what: `each of ${many} waits at once on ${store}`, against: 'of 100', value: ratio('of many', 'of 100'), atMost: 1.5 }],
      processes: 2,
      before
    },
    {
      title: `jobs: cancelled on ${store}`,
      unit: 'µs',
      floor: 'one by one',
      variants: { 'one by one': () => cancels(many / 5, false), 'at once': () => cancels(many / 5, true) },
      lines: [{ what: `each of ${many / 5} cancels at once on ${store}`, against: 'one by one', value: ratio('at once', 'one by one'), atMost: 1 }],
      processes: 2,
      before
    },
    {
      title: `jobs: beside jobs of a kind that nobody works on ${store}`,
      unit: 'µs',
      floor: 'alone',
      variants: { alone: () => besideOrphans(0), 'beside many': () => besideOrphans(2 * many) },
      lines: [{ what: `a job beside ${2 * many} that nobody works on ${store}`, against: 'alone', value: ratio('beside many', 'alone'), atMost: 2 }],
      processes: 2,
      before
    },
    {
      title: `jobs: added on ${store}`,
      unit: 'µs',
      floor: 'addJobs',
      variants: { 'one by one': () => adds(many / 5, 'one by one'), 'at once': () => adds(many / 5, 'at once'), addJobs: () => adds(many / 5, 'addJobs') },
      lines: [
        { what: `a job of addJobs on ${store}`, against: 'addJob, one by one', value: ratio('addJobs', 'one by one'), atMost: 0.2 },
        { what: 'the same', against: 'addJob, all at once', value: ratio('addJobs', 'at once'), atMost: 1 }
      ],
      processes: 2,
      before
    }
  ]
}

const onRedis = async (): Promise<() => Promise<void>> => {
  const server = await startRedis()
  if (server === undefined) throw new Error('There is no redis-server on this machine')
  process.env.BENCH_STORE = JSON.stringify(server.connection)
  return server.close
}

const onPostgres = async (): Promise<() => Promise<void>> => {
  const server = await startPostgres()
  process.env.BENCH_STORE = server.url
  return server.close
}

const figures: Figure[] = [
  ...[1, 20].flatMap((count) => [figure('Redis', count, onRedis), figure('PostgreSQL', count, onPostgres)]),
  ...growth('Redis', 100_000, 5_000, onRedis), ...growth('PostgreSQL', 20_000, 1_000, onPostgres)
]

export default figures
