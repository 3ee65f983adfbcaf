import Fastify from 'fastify'
import t from 'tap'
import { checkPluginOptions } from '../../../lib/jobs/options'
import { Store } from '../../../lib/jobs/store'
import { sharedPostgres } from '../../fixtures/postgres'
import { freePort } from '../../fixtures/redis'

t.setTimeout(120_000)

t.test('a store that has gone silent is unavailable; one that answers in the end has answered', async (t) => {
  const server = await sharedPostgres()
  t.teardown(() => server.close())
  const log = Fastify({ logger: false }).log
  const store = new Store(checkPluginOptions({ connection: server.url, prefix: 'edges' }), log, async () => {})
  // It works as soon as it is reached.
  store.work()
  await store.open()
  const [answer] = await Promise.all([
    store.ask(() => new Promise((resolve) => setTimeout(resolve, 4_999, 'in time'))),
    t.rejects(store.ask(() => new Promise(() => {})), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' }),
    t.rejects(store.ask(async () => { throw Object.assign(new Error('gone'), { code: -1 }) }), { code: -1 })
  ])
  t.equal(answer, 'in time')
  await store.stopWorking()
  await store.close(1_000)
})

t.test('a connection that is lost when the app closes is given up, and only then closed', async (t) => {
  const { log } = Fastify({ logger: false })
  const store = new Store(checkPluginOptions({ connection: { port: await freePort() } }), log, async () => {})
  const lost = { status: 'reconnecting' }
  Object.assign(store, {
    reached: true, parts: [{ getBackend: () => ({ client: Promise.resolve(lost) }) }], worker: { close: async () => t.equal(lost.status, 'end') }
  })
  setTimeout(() => { lost.status = 'end' }, 50)
  await store.stopWorking()
})

t.test('a store that was never there is not asked for again once the app closes', async (t) => {
  const tries: number[] = []
  const connection = { port: await freePort(), retryStrategy: (times: number) => tries.push(times) && 10 }
  const { log } = Fastify({ logger: false })
  const store = new Store(checkPluginOptions({ connection }), log, async () => {})
  await store.open()
  await store.stopWorking()
  const tried = tries.length
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(tries.length, tried)
  await store.close(1_000)
})
