import { startRedis } from 'test/fixtures/redis.js'
const redis = await startRedis()
if (redis === undefined) {
  console.log('Skipped: no redis-server on this machine\nThe block is through')
  process.exit()
}
const { host, port } = redis.connection as { host: string, port: number }
process.env.REDIS_URL = `redis://${host}:${port}`
// --- the block ---
await app.ready()
const other = Fastify()
const otherEmitter = mqemitterRedis({ connectionString: process.env.REDIS_URL })
other.addHook('onClose', (_app, done) => { otherEmitter.close(done) })
await other.register(fastifyTasks, { emitter: otherEmitter })
await other.ready()
other.addTask(async (_app, { signal }) => { await new Promise((resolve) => signal.addEventListener('abort', resolve)) }, { name: 'x' })
const { tasks } = (await app.inject('/tasks')).json()
assert.deepEqual(tasks.map(({ name }: { name: string }) => name), ['x'])
assert.equal(tasks[0].process.pid, process.pid)
assert.equal((await app.inject({ method: 'DELETE', url: '/tasks/x' })).statusCode, 200)
assert.equal(other.getTask('x')!.state, 'cancelled')
await other.close()
await app.close()
await redis.close()
