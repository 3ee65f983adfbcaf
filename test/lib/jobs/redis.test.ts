import t from 'tap'
import { testJobsContract } from '../../fixtures/jobs-contract'
import { startRedis } from '../../fixtures/redis'

t.setTimeout(170_000)

t.test('jobs on Redis', async (t) => {
  const server = await startRedis()
  if (server === undefined) {
    const message = 'NOT TESTED: jobs on Redis. There is no redis-server on this machine; `apt-get install redis-server` brings one'
    process.stderr.write(`\n!!! ${message}\n\n`)
    t.pass('jobs on Redis', { skip: message })
    return
  }
  await testJobsContract(t, server, { races: 300 })
})
