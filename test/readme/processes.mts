import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from 'test/fixtures/redis.js'
const redis = await startRedis()
if (redis === undefined) {
  console.log('Skipped: no redis-server on this machine\nThe block is through')
  process.exit()
}
const { host, port } = redis.connection as { host: string, port: number }
process.env.REDIS_URL = `redis://${host}:${port}`
const onRequest = async (): Promise<void> => {}
// --- the block ---
await app.ready()
const other = Fastify()
const otherEmitter = mqemitterRedis({ connectionString: process.env.REDIS_URL })
const otherConnections = Object.values(otherEmitter).filter((part) => typeof part?.disconnect === 'function')
assert.equal(otherConnections.length, 2)
other.addHook('onClose', async () => { for (const connection of otherConnections) connection.disconnect() })
await other.register(fastifyTasks, { emitter: otherEmitter })
await other.ready()
other.addTask(async (_app, { signal }) => { await new Promise((resolve) => signal.addEventListener('abort', resolve)) }, { name: 'x' })
// Its first message may still be on its way.
let tasks: Array<{ name: string, process: { pid: number } }> = []
for (let i = 0; i < 500 && tasks.length === 0; i++) {
  tasks = (await app.inject('/tasks')).json().tasks
  await sleep(10)
}
assert.deepEqual(tasks.map(({ name }) => name), ['x'])
assert.equal(tasks[0].process.pid, process.pid)
assert.equal((await app.inject({ method: 'DELETE', url: '/tasks/x' })).statusCode, 200)
assert.equal(other.getTask('x')!.state, 'cancelled')
// Redis hangs while one app closes, and has died when the other does. Neither waits for it, nothing is thrown, and the process ends.
const isClosed = (one: typeof app): Promise<boolean> => Promise.race([
  one.close().then(() => true), new Promise<boolean>((resolve) => { setTimeout(resolve, 15_000, false).unref() })
])
process.kill(redis.pid()!, 'SIGSTOP')
assert.ok(await isClosed(app))
process.kill(redis.pid()!, 'SIGKILL')
await redis.stop()
assert.ok(await isClosed(other))
await redis.close()
