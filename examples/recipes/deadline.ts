// AbortSignal.timeout: a deadline for a task. Its reason distinguishes it from other cancels.
import { setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.ready()

  const task = app.addTask((_app, { signal }) => setTimeout(60_000, 'too late', { signal }), {
    name: 'slow', signal: AbortSignal.timeout(50)
  })
  await task.then(undefined, (error) => console.log(`${error.code} by ${error.cause.name}`))
  await app.close()
}

main()
