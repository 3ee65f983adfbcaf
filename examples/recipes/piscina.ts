// piscina: CPU-bound work in a thread. A cancel of the task ends the work of the thread too.
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
import { Piscina } from 'piscina'

async function main (): Promise<void> {
  const pool = new Piscina({ filename: require.resolve('./piscina-worker.cjs') })
  const app = Fastify()
  await app.register(fastifyTasks)
  app.addHook('onClose', () => pool.close())
  await app.ready()

  console.log(`fibonacci(20) = ${await app.addTask((_app, { signal }) => pool.run(20, { signal }))}`)

  const hours = app.addTask((_app, { signal }) => pool.run(60, { signal }), { name: 'hours' })
  app.tasks.once('start', () => setImmediate(() => hours.cancel('too long')))
  await hours.then(undefined, (error) => console.log(`${error.code}: ${error.cause}`))
  await app.close()
}

main()
