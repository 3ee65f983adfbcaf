import t from 'tap'
import { startPostgres } from '../../examples/embedded-postgres'
import { testJobsContract } from '../fixtures/jobs-contract'

t.setTimeout(170_000)

t.test('jobs on PostgreSQL', async (t) => {
  const { url, ...server } = await startPostgres()
  await testJobsContract(t, { connection: url, ...server }, { races: 100 })
})
