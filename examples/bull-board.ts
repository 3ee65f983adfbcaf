// The queue's own page: `@bull-board/fastify` beside the jobs. Needs `npm install @bull-board/api @bull-board/fastify`.
import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import { createPostgresBackend, Queue } from 'bullmq'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import fastifyJobs from 'fastify-tasks/jobs'
import { startPostgres } from './embedded-postgres'

async function main (): Promise<void> {
  const postgres = await startPostgres({ closedOnSignal: true })
  const app = Fastify({ logger: { level: 'error' } })
  await app.register(fastifyTasks)
  await app.register(fastifyJobs, { connection: postgres.url, queue: 'board' })
  app.defineJob('greeting', async (_app, _task, { name }: { name: string }) => `Hello ${name}`)

  // The engine's own queue, under the name that the plugin was given. On Redis, leave createPostgresBackend out.
  const queue = new Queue('board', { connection: { connectionString: postgres.url, migrate: true } }, createPostgresBackend)
  // Ctrl-C reaches the server too, which may be gone first. What nobody listens to, the engine prints.
  queue.on('error', (err) => app.log.warn({ err }))
  const board = new FastifyAdapter()
  board.setBasePath('/board')
  // Its types know Redis alone, and an older Fastify.
  createBullBoard({ queues: [new BullMQAdapter(queue as never, { readOnlyMode: true })], serverAdapter: board as never })
  // Like every page that shows what runs, it belongs behind your own authentication.
  await app.register(board.registerPlugin(), { prefix: '/board' })
  app.addHook('onClose', async () => { await queue.close() })

  const address = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
  await (await app.addJob('greeting', { name: 'Board' }, { name: 'greeting:1' })).wait()
  console.log(`The queue is shown on ${address}/board/`)

  const stop = async (): Promise<void> => {
    await app.close()
    await postgres.close()
    process.exit()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}

main()
