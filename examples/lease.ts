// A lease: work that continues as long as a client, in a process of its own, renews it.
// The client renews a lease of 3 s every second. It is killed at its fifth heartbeat, and the lease expires.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setInterval } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyTasks, { errors } from 'fastify-tasks'

async function server (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyTasks)

  let heartbeats = 0
  app.post('/session', async (_request, reply) => {
    const session = app.addTask(async (_app, { signal }) => { await once(signal, 'abort') }, { name: 'session', ttl: 3_000 })
    session.then(undefined, async (error) => {
      if (error instanceof errors.FST_ERR_TASK_EXPIRED) console.log(`The lease has expired: ${error.message}`)
      await app.close()
    })
    return reply.code(201).send()
  })
  app.post('/session/heartbeat', async (_request, reply) => {
    const renewed = app.getTask('session')?.heartbeat() ?? false
    if (++heartbeats === 5) client.kill('SIGKILL')
    return reply.code(renewed ? 204 : 410).send()
  })

  const client = fork(__filename, [await app.listen({ port: Number(process.env.PORT ?? 3000) })])
  client.on('exit', () => console.log(`The client is gone after ${heartbeats} heartbeats`))
}

async function client (address: string): Promise<void> {
  await fetch(`${address}/session`, { method: 'POST' })
  for await (const _ of setInterval(1_000)) { // eslint-disable-line @typescript-eslint/no-unused-vars
    const reply = await fetch(`${address}/session/heartbeat`, { method: 'POST' })
    console.log(`Heartbeat: ${reply.status}`)
  }
}

const [address] = process.argv.slice(2)
if (address === undefined) server()
else client(address)
