import t from 'tap'
import { testExpiry } from '../fixtures/expiry-contract'
import { sharedPostgres } from '../fixtures/postgres'

t.setTimeout(170_000)

t.test('jobs that nobody starts in time, on PostgreSQL', async (t) => {
  const { url, close } = await sharedPostgres()
  t.teardown(close)
  await testExpiry(t, url)
})
