// @fastify/schedule: a task at each interval. Its name keeps a slow run from overlapping the next one.
import { setTimeout } from 'node:timers/promises'
import { fastifySchedule } from '@fastify/schedule'
import Fastify from 'fastify'
import fastifyTasks, { errors } from 'fastify-tasks'
import { SimpleIntervalJob, Task } from 'toad-scheduler'

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.register(fastifySchedule)
  await app.ready()

  let runs = 0
  let skipped = 0
  const enough = new Promise<void>((resolve) => {
    const cleanUp = new Task('clean-up', () => {
      app.addTask(async (_app, { signal }) => {
        await setTimeout(50, undefined, { signal })
        if (++runs === 3) resolve()
      }, { name: 'clean-up' })
    }, (error) => {
      if (error instanceof errors.FST_ERR_TASK_NAME_IN_USE) skipped++
      else throw error
    })
    app.scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ milliseconds: 20 }, cleanUp))
  })

  await enough
  console.log(`${runs} runs, ${skipped > 0 ? 'some' : 'none'} skipped while one was running`)
  await app.close()
}

main()
