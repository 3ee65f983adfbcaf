// p-retry: a task that retries, and stops retrying when it is cancelled.
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

async function main (): Promise<void> {
  const { default: pRetry } = await import('p-retry')
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.ready()

  let attempts = 0
  const flaky = async (): Promise<string> => {
    if (++attempts < 3) throw new Error(`attempt ${attempts} failed`)
    return `attempt ${attempts} succeeded`
  }

  const task = app.addTask((_app, { signal }) => pRetry(flaky, { signal, retries: 5, minTimeout: 10 }), { name: 'flaky' })
  console.log(await task)

  const hopeless = app.addTask((_app, { signal }) => pRetry(() => { throw new Error('no') }, { signal, minTimeout: 60_000 }), { name: 'hopeless' })
  app.tasks.once('start', () => setImmediate(() => hopeless.cancel('enough')))
  await hopeless.then(undefined, (error) => console.log(`${error.code}: ${error.cause}`))
  await app.close()
}

main()
