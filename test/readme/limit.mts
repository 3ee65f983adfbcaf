import { setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
const app = Fastify()
await app.register(fastifyTasks)
let most = 0
let working = 0
const buildReport = async (): Promise<string> => {
  most = Math.max(most, ++working)
  await setTimeout(20)
  working--
  return 'a report'
}
// --- the block ---
await app.ready()
const replies = await Promise.all(Array.from({ length: 110 }, () => app.inject({ method: 'POST', url: '/reports' })))
assert.equal(replies.filter(({ statusCode }) => statusCode === 202).length, 105)
const refused = replies.filter(({ statusCode }) => statusCode === 503)
assert.equal(refused.length, 5)
assert.equal(refused[0].json().code, 'FST_ERR_TASK_GROUP_FULL')
await app.tasks.onIdle('reports')
assert.equal(most, 5)
