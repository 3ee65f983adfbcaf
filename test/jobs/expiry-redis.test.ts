import t from 'tap'
import { testExpiry } from '../fixtures/expiry-contract'
import { startRedis } from '../fixtures/redis'

t.setTimeout(170_000)

t.test('jobs that nobody starts in time, on Redis', async (t) => {
  const server = await startRedis()
  if (server === undefined) {
    t.pass('jobs that nobody starts in time, on Redis', { skip: 'there is no redis-server on this machine' })
    return
  }
  t.teardown(() => server.close())
  await testExpiry(t, server.connection)
})
