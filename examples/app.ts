// The app that `npm start` runs: reports in a limited group, a feed, a lease and a poller, on a dashboard. Stop it with Ctrl-C.
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import fastifyWebsocket, { type WebSocket } from '@fastify/websocket'
import closeWithGrace from 'close-with-grace'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyTasks, { errors, type TaskFunction } from 'fastify-tasks'
import tasksDashboard from 'fastify-tasks/dashboard'

interface Report { rows: number }
interface ById { Params: { id: string } }

const app = Fastify({ logger: { level: process.env.LOG_LEVEL ?? 'warn' } })

async function main (): Promise<void> {
  await app.register(fastifyWebsocket)
  await app.register(fastifyTasks)
  await app.register(reports, { prefix: '/reports' })
  await app.register(feed, { prefix: '/feed' })
  await app.register(leases, { prefix: '/leases' })
  // Open to everybody, because this app listens on this machine only. Yours needs a hook: see "Protect these routes" in docs/control.md.
  await app.register(tasksDashboard, { prefix: '/tasks', onRequest: [] })

  const address = await listen(Number(process.env.PORT ?? 3000))
  if (address === undefined) return
  closeWithGrace({ delay: 35_000 }, async ({ err }) => {
    if (err !== undefined) app.log.error(err)
    await app.close()
    console.log('Closed: every task has stopped')
  })
  printHelp(address)
}

async function listen (port: number): Promise<string | undefined> {
  try {
    return await app.listen({ port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    console.error(`Port ${port} is in use. Choose another one: PORT=${port + 1} npm start`)
    process.exitCode = 1
    // Fastify starts the tasks before it listens, and does not close by itself when it cannot listen.
    await app.close()
  }
}

// --- Reports: the reply is 202 at once, the report is built in the background and fetched later; at most two at a time ---

const buildReport: TaskFunction<Report> = async (_app, task) => {
  for (let percent = 0; percent <= 100; percent += 5) {
    task.updateProgress(percent)
    await setTimeout(100, undefined, { signal: task.signal })
  }
  return { rows: 42 }
}

async function reports (app: FastifyInstance): Promise<void> {
  let lastId = 0
  app.defineTaskGroup('reports', { concurrency: 2, maxPending: 20 })

  app.post('/', async (request, reply) => {
    const id = ++lastId
    // With 20 reports waiting, the reply is 503. What the task logs carries the id of this request.
    request.addTask(buildReport, { name: `report:${id}`, group: 'reports', timeout: 60_000, onClose: 'wait' })
    return reply.code(202).header('location', `/reports/${id}`).send({ id })
  })

  app.delete('/', async () => ({ cancelled: await app.cancelTasks({ group: 'reports' }, 'all reports were cancelled') }))

  app.get<ById>('/:id', async (request) => {
    const task = app.getTask<Report>(`report:${request.params.id}`)
    if (task === undefined) throw new errors.FST_ERR_TASK_NOT_FOUND(`report:${request.params.id}`)
    // Not the task itself: the reply would wait until the task has ended.
    return { state: task.state, progress: task.progress, result: task.result }
  })

  app.delete<ById>('/:id', async (request) => ({ cancelled: await app.cancelTask(`report:${request.params.id}`) }))
}

// --- A feed: a poller that starts with the app, and a receiver for each client ---

async function feed (app: FastifyInstance): Promise<void> {
  const clients = new Set<WebSocket>()

  app.addTask(async (_app, { signal }) => {
    while (true) {
      await setTimeout(1_000, undefined, { signal })
      const message = JSON.stringify({ load: loadavg()[0] })
      for (const client of clients) client.send(message)
    }
  }, { name: 'poller' })

  app.get('/', { websocket: true }, (socket, request) => {
    // Attached at once: a message that arrives before the receiver starts would be lost.
    socket.on('message', (message) => socket.send(JSON.stringify({ received: message.toString() })))
    socket.on('close', () => receiver.cancel('the client has left'))

    const receiver = app.addTask(async (_app, { signal }) => {
      clients.add(socket)
      await once(signal, 'abort')
      clients.delete(socket)
      socket.close()
    }, { name: `receiver:${request.id}` })
  })
}

// --- A lease: a task that runs as long as its client renews it, over HTTP or a WebSocket ---

async function leases (app: FastifyInstance): Promise<void> {
  app.put<ById>('/:id', async (request, reply) => {
    // A name in use is answered with 409: the error has the status.
    app.addTask(async (_app, { name, signal }) => {
      await once(signal, 'abort')
      console.log(`${name} has ended: ${signal.reason.code ?? signal.reason}`)
    }, { name: `lease:${request.params.id}`, ttl: 3_000 })
    return reply.code(201).send({ ttl: 3_000 })
  })

  app.post<ById>('/:id/heartbeat', async (request, reply) => {
    const name = `lease:${request.params.id}`
    const task = app.getTask(name)
    if (task === undefined) throw new errors.FST_ERR_TASK_NOT_FOUND(name)
    if (!task.heartbeat()) throw new errors.FST_ERR_TASK_NOT_LIVE(name, task.state)
    return reply.code(204).send()
  })

  app.get<ById>('/:id', { websocket: true }, (socket, request) => {
    socket.on('message', () => {
      const renewed = app.getTask(`lease:${request.params.id}`)?.heartbeat() ?? false
      socket.send(JSON.stringify({ renewed }))
    })
  })
}

function printHelp (address: string): void {
  const socket = (path: string): string => `new (require('ws'))('${address.replace('http', 'ws')}${path}')`
  console.log(`fastify-tasks is listening at ${address}

The dashboard:
  ${address}/tasks

A report, its progress, its result:
  curl -i -X POST ${address}/reports
  curl ${address}/reports/1
Ten reports, of which two are built at a time, and the end of all that are not built yet:
  for i in 1 2 3 4 5 6 7 8 9 10; do curl -X POST ${address}/reports; done
  curl -X DELETE ${address}/reports
The feed:
  node -e "${socket('/feed')}.on('message', m => console.log(String(m)))"
A lease of 3 seconds, renewed over HTTP, then over a WebSocket every second:
  curl -X PUT ${address}/leases/me && curl -i -X POST ${address}/leases/me/heartbeat
  curl -X PUT ${address}/leases/you && node -e "${socket('/leases/you')}.on('open', function () { setInterval(() => this.send('renew'), 1000) }).on('message', m => console.log(String(m)))"

Stop the command, or do not renew: three seconds later this process prints that the lease has expired.
`)
}

main()
