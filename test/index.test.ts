import Fastify from 'fastify'
import t from 'tap'
import fastifyTasks, { errors } from '../index'

t.test('a task added before ready starts after every onReady hook, in the order added', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyTasks)
  const seen: string[] = []
  app.addTask(() => { seen.push('a') })
  app.addTask(() => { seen.push('b') })
  app.addHook('onReady', async () => { await new Promise(resolve => setTimeout(resolve, 20)); seen.push('hook') })
  const last = app.addTask(() => { seen.push('c'); return 42 }, { name: 'c' })
  await app.ready()
  t.equal(await last, 42)
  t.same(seen, ['hook', 'a', 'b', 'c'])
})

t.test('cancelling', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyTasks, { cancelTimeout: 50 })
  await app.ready()
  const task = app.addTask((_app, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))), { name: 'x', ttl: 100 })
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_EXPIRED', name: 'AbortError' })
  t.ok((task.error as Error) instanceof errors.FST_ERR_TASK_EXPIRED)
  app.addTask(() => new Promise(() => {}), { name: 'deaf' })
  await new Promise(resolve => setImmediate(resolve))
  await t.rejects(app.cancelTask('deaf'), { code: 'FST_ERR_TASK_CANCEL_TIMEOUT' })
  t.equal(app.getTask('deaf')?.state, 'cancelling')
})
