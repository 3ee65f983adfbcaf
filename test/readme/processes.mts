import mqemitter from 'mqemitter-redis'
import { startRedis } from 'test/fixtures/redis.js'
const redis = await startRedis()
if (redis === undefined) {
  console.log('REDIS IS NOT INSTALLED: this block is not tried\nThe block is through')
  process.exit()
}
const { port } = redis.connection as { port: number }
process.env.REDIS_PORT = String(port)
const onRequest: never[] = []
// --- the block ---
const { setTimeout: sleep } = await import('node:timers/promises')
const otherEmitter = mqemitter({ host: '127.0.0.1', port })
const other = Fastify()
await other.register(fastifyTasks, { emitter: otherEmitter })
const task = other.addTask((app, { signal }) => new Promise((resolve) => { signal.addEventListener('abort', resolve) }), { name: 'elsewhere' })
await other.ready()

let list: any
do {
  await sleep(20)
  list = (await app.inject('/tasks')).json()
} while (list.tasks.length === 0 || list.tasks[0].state !== 'running')
assert.equal(list.tasks[0].name, 'elsewhere')
assert.equal(list.tasks[0].process.pid, process.pid)
assert.equal(app.getTask('elsewhere'), undefined)
assert.equal((await app.inject({ method: 'DELETE', url: '/tasks/elsewhere' })).json().state, 'cancelled')
assert.equal(task.state, 'cancelled')

await other.close()
await new Promise((resolve) => { otherEmitter.close(() => resolve(undefined)) })
await app.close()
await redis.close()
