// p-queue: priorities, which groups of tasks do not have. A task that is cancelled while it waits in the queue does no work.
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

async function main (): Promise<void> {
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: 1, autoStart: false })
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.ready()

  const send = (to: string, priority: number): void => {
    app.addTask((_app, { signal }) => queue.add(async () => console.log(`mail to ${to}`), { signal, priority }), { name: `mail:${to}` })
  }
  send('a reader', 0)
  send('a customer', 10)
  send('nobody', 20)
  while (queue.size < 3) await new Promise((resolve) => setImmediate(resolve))
  await app.cancelTask('mail:nobody')
  queue.start()

  await app.tasks.onIdle()
  console.log(Array.from(app.tasks, ({ state }) => state).join(' '))
  await app.close()
}

main()
