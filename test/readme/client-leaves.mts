import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
const app = Fastify()
await app.register(fastifyTasks)
let takes = 60_000
const search = async (signal: AbortSignal): Promise<object> => {
  await setTimeout(takes, undefined, { signal })
  return { found: 42 }
}
// --- the block ---
await app.listen({ port: 0 })
const { port } = app.server.address() as AddressInfo
const leaving = httpRequest({ port, method: 'POST', path: '/search', headers: { 'content-type': 'application/json' } })
leaving.on('error', () => {})
leaving.end('{"for":"nothing"}')
const [left] = await once(app.tasks, 'start')
await setTimeout(50)
assert.equal(left.state, 'running', 'the client still waits')
leaving.destroy()
await assert.rejects(async () => left, { code: 'FST_ERR_TASK_CANCELLED', cause: 'the client has left' })
assert.equal(left.state, 'cancelled')

takes = 1
const reply = await fetch(`http://localhost:${port}/search`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
assert.deepEqual(await reply.json(), { found: 42 })
