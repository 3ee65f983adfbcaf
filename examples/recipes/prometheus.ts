// prom-client: the number of live tasks by state, the number of ended tasks by outcome, and their durations.
import Fastify from 'fastify'
import fastifyTasks, { type Tasks } from 'fastify-tasks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

function measureTasks (tasks: Tasks, register: Registry): void {
  const ended = new Counter({ name: 'tasks_ended_total', help: 'Tasks that have ended', labelNames: ['state'], registers: [register] })
  const duration = new Histogram({ name: 'task_duration_seconds', help: 'From the start of a task to its end', labelNames: ['state'], registers: [register] })
  // Counted at each scrape.
  const gauge = new Gauge({
    name: 'tasks',
    help: 'Tasks that are live',
    labelNames: ['state'],
    registers: [register],
    collect () {
      const counts = { pending: 0, running: 0, cancelling: 0 }
      for (const { state } of tasks) if (Object.hasOwn(counts, state)) counts[state as keyof typeof counts]++
      for (const [state, count] of Object.entries(counts)) gauge.set({ state }, count)
    }
  })

  tasks.on('end', ({ state, startedAt, endedAt }) => {
    ended.inc({ state })
    // A task that was cancelled before its start has no duration.
    if (startedAt !== undefined) duration.observe({ state }, (endedAt! - startedAt) / 1_000)
  })
}

async function main (): Promise<void> {
  const app = Fastify({ logger: { level: 'fatal' } })
  await app.register(fastifyTasks)

  const register = new Registry()
  measureTasks(app.tasks, register)
  app.get('/metrics', async (_request, reply) => reply.type(register.contentType).send(await register.metrics()))
  await app.ready()

  const tasks = [
    app.addTask(async () => 'done'),
    app.addTask(async () => { throw new Error('no') }),
    app.addTask((_app, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)), { name: 'long' })
  ]
  await Promise.allSettled(tasks.slice(0, 2))
  while (tasks[2].startedAt === undefined) await new Promise((resolve) => setImmediate(resolve))

  const { body } = await app.inject('/metrics')
  console.log(body.split('\n').filter((line) => /^tasks|_count/.test(line)).join('\n'))
  await app.close()
}

main()
