// A group: at most two tasks of it run at a time, at most four wait, and all of them are cancelled together.
import { setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyTasks)
  app.defineTaskGroup('images', { concurrency: 2, maxPending: 4 })
  await app.ready()

  const resize = (id: number): void => {
    app.addTask(async (_app, { signal }) => {
      console.log(`image ${id} starts`)
      await setTimeout(id <= 2 ? 10 : 60_000, undefined, { signal })
    }, { name: `image:${id}`, group: 'images' })
  }
  for (let id = 1; id <= 6; id++) resize(id)
  try {
    resize(7)
  } catch (error) {
    console.log(`image 7: ${(error as NodeJS.ErrnoException).code}`)
  }

  await Promise.all([app.getTask('image:1'), app.getTask('image:2')])
  while (app.getTasks({ group: 'images', state: 'running' }).length < 2) await setTimeout(1)
  console.log(`${app.tasks.live} live, ${await app.cancelTasks({ group: 'images' }, 'enough')} cancelled`)
  await app.tasks.onIdle('images')
  await app.close()
}

main()
