// The fleet that `npm run start:fleet` runs: one process adds jobs and shows them on a page, another works; that one is killed, a
// new one takes its place, and the work goes on. Reports have a queue of their own, so that they do not hold up what is quick. The jobs are stored in a PostgreSQL that comes inside an npm package. Stop it with Ctrl-C.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyTasks from 'fastify-tasks'
import dashboard from 'fastify-tasks/dashboard'
import fastifyJobs from 'fastify-tasks/jobs'
import { startPostgres } from './embedded-postgres'

declare module 'fastify-tasks/jobs' {
  interface JobKinds {
    report: { data: { pages: number }, result: string }
    tidy: { data: null, result: void }
  }
}

function say (text: string): void {
  const role = process.argv[3] === undefined ? 'web   ' : 'worker'
  console.log(`${new Date().toISOString().slice(11, 21)}  ${role} ${process.pid}  ${text}`)
}

/** What every process of the fleet has in common. */
async function member (connection: string, worker: boolean): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'error' } })
  await app.register(fastifyTasks)
  await app.register(fastifyJobs, { connection, worker, lockDuration: 3_000, queues: { default: 5, reports: 2 } })
  app.defineJob('report', async (_app, task, { pages }, { name, attempts }) => {
    say(`${name} starts, attempt ${attempts}`)
    for (let page = 1; page <= pages; page++) {
      await setTimeout(250, undefined, { signal: task.signal })
      task.updateProgress(Math.round(100 * page / pages))
    }
    return `${name} of ${pages} pages, by ${process.pid}`
  }, { queue: 'reports' })
  app.defineJob('tidy', () => say('tidies up, as every second, in one process of the fleet'))
  return app
}

/** The dashboard, open to everybody: a real app needs an authentication hook here. */
async function listen (app: FastifyInstance): Promise<void> {
  await app.register(dashboard, { prefix: '/fleet', serve: ['tasks', 'jobs'], onRequest: [] })
  say(`the page: ${await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}/fleet`)
}

async function work (connection: string): Promise<void> {
  const app = await member(connection, true)
  await app.ready()
  process.on('SIGTERM', () => app.close().then(() => process.exit()))
  process.on('disconnect', () => process.exit())
  say('is ready to work')
  process.send!('ready')
}

/** Resolves once it is ready. It is one of the workers before that, so that a signal ends it at any time. */
async function startWorker (connection: string, workers: ChildProcess[]): Promise<void> {
  const worker = fork(__filename, [connection, 'worker'])
  workers.push(worker)
  await once(worker, 'message')
}

async function main (): Promise<void> {
  const postgres = await startPostgres({ closedOnSignal: true })
  const app = await member(postgres.url, false)
  const workers: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    const left = workers.filter((worker) => worker.exitCode === null && worker.signalCode === null)
    await Promise.all([app.close(), ...left.map(async (worker) => {
      worker.kill('SIGTERM')
      await once(worker, 'exit')
    })])
    await postgres.close()
    process.exit()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)

  await listen(app)
  await app.scheduleJob('tidy', { kind: 'tidy', every: 1_000 })
  await startWorker(postgres.url, workers)
  const jobs = []
  for (let i = 1; i <= 4; i++) {
    jobs.push(await app.addJob('report', { pages: 8 }, { name: `report:${i}` }))
    say(`report:${i} added`)
  }
  await app.addJob('report', { pages: 1 }, { name: 'report:1' }).catch((error) => say(`report:1 not added again: ${error.code}`))

  await setTimeout(1_000)
  const { state, progress } = (await app.getJob('report:1'))!
  say(`report:1 is ${state}, ${String(progress)} %`)
  workers[0].kill('SIGKILL')
  say(`killed worker ${workers[0].pid}`)
  await startWorker(postgres.url, workers)
  for (const result of await Promise.all(jobs.map((job) => job.wait()))) say(`done: ${result}`)
  say('all reports are done, none was lost')
  if (process.stdout.isTTY) return say('the page stays until Ctrl-C')
  await stop()
}

if (process.argv[3] !== undefined) {
  work(process.argv[2])
} else {
  main().catch((error) => {
    // What Ctrl-C has cut short.
    if (error.code !== 'FST_ERR_JOBS_CLOSED') throw error
  })
}
