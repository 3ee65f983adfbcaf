import t from 'tap'
import { testJobsContract } from '../../fixtures/jobs-contract'
import { startRedis } from '../../fixtures/redis'

t.setTimeout(170_000)

startRedis().then((server) => {
  if (server === undefined) {
    const message = 'NOT TESTED: jobs on Redis. There is no redis-server on this machine; `apt-get install redis-server` brings one'
    process.stderr.write(`\n!!! ${message}\n\n`)
    return t.test('jobs on Redis', { skip: message })
  }
  return t.test('jobs on Redis', (t) => testJobsContract(t, server, { races: 300 }))
})
