import t from 'tap'
import { testOutcomes } from '../fixtures/outcomes-contract'
import { sharedPostgres } from '../fixtures/postgres'

t.setTimeout(170_000)

t.test('what is told of jobs on PostgreSQL', async (t) => {
  const { url, close } = await sharedPostgres()
  t.teardown(close)
  await testOutcomes(t, url)
})
