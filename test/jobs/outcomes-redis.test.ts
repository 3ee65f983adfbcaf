import t from 'tap'
import { testOutcomes } from '../fixtures/outcomes-contract'
import { startRedis } from '../fixtures/redis'

t.setTimeout(170_000)

t.test('what is told of jobs on Redis', async (t) => {
  const server = await startRedis()
  if (server === undefined) {
    t.pass('what is told of jobs on Redis', { skip: 'there is no redis-server on this machine' })
    return
  }
  t.teardown(() => server.close())
  await testOutcomes(t, server.connection)
})
