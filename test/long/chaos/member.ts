// A process of the fleet. A worker runs jobs, a client adds them and follows them to their ends; each writes all of it to the journal.
import { leapBy } from './clock'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyTasks from '../../../index'
import fastifyJobs from '../../../lib/jobs'
import { Journal } from './journal'
import { Load, type Plan } from './load'

export interface Settings {
  role: 'worker' | 'client'
  /** Others give jobs of the kind `rare` back. */
  hasAllKinds: boolean
  journal: string
  log: string
  seed: number
  /** Those of the plugin. */
  jobs: any
}

export type Order = { order: 'block' | 'leap', ms: number } | { order: 'drain' | 'purge' }

const settings: Settings = JSON.parse(process.argv[2])
const journal = new Journal(settings.journal)
for (const event of ['uncaughtException', 'unhandledRejection', 'warning']) {
  process.on(event, (error: Error) => journal.write(event, { error: error?.stack ?? String(error) }))
}

const app = Fastify({ logger: { level: 'warn', file: settings.log } })
let load: Load | undefined
let runs = 0

async function work (_app: unknown, task: { signal: AbortSignal }, plan: Plan, { name, attempts }: { name: string, attempts: number }): Promise<object> {
  const run = `${process.pid}-${++runs}`
  journal.write('start', { name, attempts, run })
  await sleep(plan.ms, undefined, { signal: task.signal })
  if (attempts <= plan.fails) {
    journal.write('fail', { name, attempts, run })
    throw Object.assign(new Error('as planned'), { code: 'PLANNED' })
  }
  journal.write('end', { name, attempts, run })
  return { run }
}

async function boot (): Promise<void> {
  await app.register(fastifyTasks, { cancelTimeout: 3_000 })
  await app.register(fastifyJobs, settings.jobs)
  app.defineJob('work', work, { backoff: 100 })
  app.defineJob('restless', work, { backoff: 100, onClose: 'cancel' })
  if (settings.hasAllKinds) app.defineJob('rare', work, { backoff: 100 })
  app.defineJob('tick', () => journal.write('tick'))
  await app.ready()
  if (settings.role === 'client') {
    await app.scheduleJob('tick', { kind: 'tick', every: 1_000 })
    load = new Load(app, journal, settings.seed)
  }
  process.send!('ready')
}

const orders: Record<Order['order'], (ms: number) => unknown> = {
  block: (ms) => { for (const end = process.hrtime.bigint() + BigInt(ms) * 1_000_000n; process.hrtime.bigint() < end;); },
  leap: leapBy,
  drain: async () => {
    await load!.drain()
    process.send!('drained')
  },
  purge: () => app.purgeJobs().catch(() => {})
}

process.on('message', ({ order, ms }: { order: Order['order'], ms: number }) => orders[order](ms))
process.once('SIGTERM', async () => {
  load?.stop()
  await app.close()
  journal.write('closed')
  // From now on nothing of the app holds the process.
  process.channel!.unref()
})
// Never outlives the run.
process.on('disconnect', () => process.exit())
boot()
