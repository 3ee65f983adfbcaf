// p-queue: at most two tasks work at a time. A task that is cancelled while it queues never works.
import { setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

async function main (): Promise<void> {
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: 2 })
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.ready()

  let working = 0
  let most = 0
  const resize = async (signal: AbortSignal): Promise<void> => {
    most = Math.max(most, ++working)
    await setTimeout(10, undefined, { signal })
    working--
  }

  const tasks = Array.from({ length: 6 }, (_, id) =>
    app.addTask((_app, { signal }) => queue.add(() => resize(signal), { signal }), { name: `resize:${id}` }))
  await app.cancelTask('resize:5')
  await Promise.allSettled(tasks)
  console.log(tasks.map(({ state }) => state).join(' '))
  console.log(`at most ${most} at a time`)
  await app.close()
}

main()
