// Work that runs once, in the primary, before the workers start; then a task in each worker, and none in the primary.
import cluster from 'node:cluster'
import { once } from 'node:events'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

const WORKERS = 3

async function primary (): Promise<void> {
  console.log(`primary ${process.pid}: migrating, once`)
  await migrate()
  for (let i = 0; i < WORKERS; i++) cluster.fork()
  // Passes on a signal that only the primary received.
  closeWithGrace(async () => {
    const workers = Object.values(cluster.workers ?? {}).map((worker) => worker!)
    await Promise.all(workers.map((worker) => {
      worker.process.kill('SIGTERM')
      return once(worker, 'exit')
    }))
    console.log(`primary ${process.pid}: every worker has stopped`)
  })
}

async function migrate (): Promise<void> {}

async function worker (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyTasks)

  app.addTask(async (_app, { name, signal }) => {
    console.log(`worker ${process.pid}: ${name} has started`)
    await once(signal, 'abort')
    console.log(`worker ${process.pid}: ${name} has stopped`)
  }, { name: 'poller' })

  closeWithGrace(() => app.close())
  await app.listen({ port: Number(process.env.PORT ?? 3000) })
}

if (cluster.isPrimary) primary()
else worker()
