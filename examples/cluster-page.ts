// The cluster that `npm run start:cluster` runs: four workers that share a port, each with tasks of its own, and one page
// that shows and controls the tasks of all. Stop it with Ctrl-C.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import tasksDashboard from 'fastify-tasks/dashboard'
import { clusterEmitter, relay } from './cluster-emitter'

const WORKERS = 4

async function primary (): Promise<void> {
  relay()
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  closeWithGrace(async () => {
    await Promise.all(workers.filter((worker) => !worker.isDead()).map((worker) => {
      worker.process.kill('SIGTERM')
      return once(worker, 'exit')
    }))
    console.log('Closed: every task of every worker has stopped')
  })
  const [, address] = await once(cluster, 'listening') as [unknown, { port: number }]
  console.log(`\nThe tasks of ${WORKERS} workers:  http://127.0.0.1:${address.port}/tasks/\n`)
}

async function worker (): Promise<void> {
  const app = Fastify({ logger: { level: process.env.LOG_LEVEL ?? 'warn' } })
  await app.register(fastifyTasks, { emitter: clusterEmitter() })
  // Open to everybody, because this app listens on this machine only. Yours needs a hook: see "Protect these routes" in docs/control.md.
  await app.register(tasksDashboard, { prefix: '/tasks', onRequest: [] })

  // One poller in each worker: four tasks of one name.
  app.addTask(async (_app, { signal }) => {
    for (;;) await setTimeout(1_000, undefined, { signal })
  }, { name: 'poller' })

  // Added by the worker that took the request, seen in all.
  app.post('/reports', async (_request, reply) => {
    const task = app.addTask(async (_app, task) => {
      for (let percent = 0; percent <= 100; percent += 5) {
        task.updateProgress(percent)
        await setTimeout(500, undefined, { signal: task.signal })
      }
    }, { name: `report:${process.pid}-${Date.now()}` })
    return reply.code(202).send({ task: task.name })
  })

  closeWithGrace(() => app.close())
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}

if (cluster.isPrimary) primary()
else worker()
