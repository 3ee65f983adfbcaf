import { randomUUID } from 'node:crypto'
import fastifyPostgres from '@fastify/postgres'
import knex from 'knex'
import pg from 'pg'
import t from 'tap'
import { untilAborted } from '../fixtures/app'
import { jobsApp, type JobsApp } from '../fixtures/jobs-app'
import { sharedPostgres } from '../fixtures/postgres'
import { startRedis } from '../fixtures/redis'

t.setTimeout(60_000)

const server = sharedPostgres()
t.teardown(async () => (await server).close())

const define = (app: JobsApp | any): void => {
  app.defineJob('echo', async (_app: unknown, _task: unknown, data: unknown) => data)
  app.defineJob('idle', untilAborted)
  app.defineJob('fail', async () => { throw new Error('failed') })
}

t.test('a job added in a transaction', async (t) => {
  const { url } = await server
  const app = await jobsApp(t, url, { define })
  const pool = new pg.Pool({ connectionString: url })
  t.teardown(() => pool.end())
  const client = await pool.connect()
  t.teardown(() => client.release())
  const searchPath = async (): Promise<string> => (await client.query('SHOW search_path')).rows[0].search_path
  const before = await searchPath()

  await t.test('is invisible until the commit, then runs', async (t) => {
    await client.query('BEGIN')
    const job = await app.addJob('echo', 7, { name: 'committed', transaction: client })
    t.match(job, { name: 'committed', state: 'pending' })
    t.equal(await app.getJob('committed'), undefined)
    t.equal(await searchPath(), before, 'the search_path is as it was')
    await client.query('COMMIT')
    t.equal(await (await app.getJob('committed'))!.wait(), 7)
    t.equal(await searchPath(), before)
  })

  await t.test('is gone with a rollback', async (t) => {
    await client.query('BEGIN')
    await app.addJob('echo', 7, { name: 'rolled back', transaction: client })
    await client.query('ROLLBACK')
    t.equal(await app.getJob('rolled back'), undefined)
    t.equal(await (await app.addJob('echo', 8, { name: 'rolled back' })).wait(), 8, 'and its name is free')
  })

  await t.test('expires after the commit, and leaves nothing after a rollback', async (t) => {
    const engineQueue = app.jobQueue()
    const marks = async (): Promise<string[]> => (await engineQueue.getBackend().forQueue(`${engineQueue.name}:expiries`).getRanges(['delayed'], 0, -1, true) as unknown as string[][])[0]
    await app.pauseJobs()
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await client.query('BEGIN')
      await app.addJob('echo', 7, { name: 'hurried', expiresIn: 500, transaction: client })
      t.same(await marks(), [])
      await client.query(end)
      t.equal((await marks()).length, end === 'COMMIT' ? 1 : 0)
    }
    await t.rejects((await app.getJob('hurried'))!.wait(), { code: 'FST_ERR_JOB_EXPIRED' })
    await app.resumeJobs()
  })

  await t.test('has a name that no live job has, also within the transaction', async (t) => {
    await app.addJob('idle', 1, { name: 'taken', delay: 60_000 })
    await client.query('BEGIN')
    await t.rejects(app.addJob('echo', 7, { name: 'taken', transaction: client }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    const [one, other] = await Promise.allSettled(['twice', 'twice'].map(async (name) => app.addJob('idle', 1, { name, delay: 60_000, transaction: client })))
    t.match([one, other], [{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'FST_ERR_JOB_NAME_IN_USE' } }])
    const list = await app.addJobs('echo', [{ data: 1, name: 'in list', transaction: client }, { data: 2, name: 'beside' }])
    t.match(list, [{ status: 'fulfilled' }, { status: 'fulfilled' }])
    await client.query('ROLLBACK')
    t.equal(await app.getJob('in list'), undefined)
    t.equal(await (await app.getJob('beside'))!.wait(), 2)
  })

  await t.test('holds its name while the transaction is open, and nothing else', async (t) => {
    await client.query('BEGIN')
    await app.addJob('echo', 1, { name: 'held', transaction: client })
    const inUse = { status: 'rejected', reason: { code: 'FST_ERR_JOB_NAME_IN_USE' } }
    const adders = Array.from({ length: 6 }, async () => app.addJob('echo', 2, { name: 'held', expiresIn: 60_000 }))
    t.match(await Promise.allSettled(adders), adders.map(() => inUse))
    const list = await app.addJobs('echo', [{ data: 3 }, { data: 4, name: 'held', expiresIn: 60_000 }, { data: 5, name: 'not held' }])
    t.match(list, [{ status: 'fulfilled' }, inUse, { status: 'fulfilled' }])
    t.match(await app.addJobs('echo', [{ data: 6, name: 'held' }]), [inUse])
    t.equal(await (await app.getJob('not held'))!.wait(), 5)

    await client.query('LOCK TABLE bullmq.dedup')
    t.match(await app.addJobs('echo', [{ data: 1, name: 'unknown' }]), [inUse], 'neither when it cannot be told who holds it')

    await client.query('ROLLBACK')
    await client.query('BEGIN')
    await app.addJob('echo', 1, { name: 'held', transaction: client })
    const other = await pool.connect()
    await other.query('BEGIN')
    await other.query("SET LOCAL lock_timeout = '7s'")
    await t.rejects(app.addJob('echo', 7, { name: 'held', transaction: other }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    await app.addJob('echo', 8, { name: 'beside held', transaction: other })
    t.equal((await other.query('SHOW lock_timeout')).rows[0].lock_timeout, '7s')
    await other.query('COMMIT')
    other.release()
    t.equal(await (await app.getJob('beside held'))!.wait(), 8)

    await client.query('ROLLBACK')
    t.equal(await (await app.addJob('echo', 9, { name: 'held' })).wait(), 9)
  })

  await t.test('holds the name of a live job no longer than to be refused', async (t) => {
    const job = await app.addJob('idle', 1, { name: 'live' })
    await client.query('BEGIN')
    await t.rejects(app.addJob('echo', 1, { name: 'live', transaction: client }), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    t.equal(await app.cancelJob('live'), true)
    await t.rejects(job.wait(), { code: 'FST_ERR_JOB_CANCELLED' })
    await client.query('COMMIT')
  })

  await t.test('keeps a failed job of its name from being run again', async (t) => {
    await t.rejects((await app.addJob('fail', 1, { name: 'failed' })).wait())
    await client.query('BEGIN')
    await app.addJob('echo', 1, { name: 'failed', transaction: client })
    await t.rejects(app.retryJob('failed'), { code: 'FST_ERR_JOB_NAME_IN_USE' })
    await client.query('ROLLBACK')
    await app.retryJob('failed')
  })

  await t.test('needs a transaction, and tells what PostgreSQL says of it', async (t) => {
    await t.rejects(app.addJob('echo', 1, { transaction: client }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /'transaction' .* without a transaction/ })
    await t.rejects(app.addJob('echo', 1, { transaction: {} as never }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /'transaction'/ })
    await client.query('BEGIN')
    await client.query('SELECT 1 / 0').catch(() => {})
    await t.rejects(app.addJob('echo', 1, { transaction: client }), { code: '25P02' })
    await client.query('ROLLBACK')
    await client.query('BEGIN')
    await t.rejects(app.addJob('echo', 'nul \0', { transaction: client }), { code: 'FST_ERR_JOB_INVALID_TEXT' })
    await client.query('SELECT 1')
    await client.query('ROLLBACK')
  })

  await t.test('needs a client that is fit for it', async (t) => {
    const refused = async (transaction: unknown, message: RegExp): Promise<unknown> => (
      t.rejects(app.addJob('echo', 1, { name: 'unfit', transaction: transaction as never }), { code: 'FST_ERR_JOB_INVALID_OPTION', message })
    )
    await client.query('BEGIN READ ONLY')
    await refused(client, /read-only/)
    await client.query('ROLLBACK')

    const database = `other_${randomUUID().slice(0, 8)}`
    await client.query(`CREATE DATABASE ${database}`)
    const elsewhere = new pg.Client(url.replace(/[^/]+$/, database))
    await elsewhere.connect()
    await elsewhere.query('BEGIN')
    await refused(elsewhere, /another database/)
    await elsewhere.query('COMMIT')
    await elsewhere.end()
    await refused(elsewhere, /says: .*closed/)
    await refused({ query () { throw new Error('no pg') } }, /says: no pg/)
    for (const answer of [undefined, {}, [], [{}, {}, { rows: [{}] }]]) await refused({ query: async () => answer }, /something else/)
    t.equal(await app.getJob('unfit'), undefined)
  })

  await t.test('is not waited for where the client does not answer', async (t) => {
    const late = new pg.Client(url)
    const transaction = { query: late.query.bind(late) as never }
    const refused = async (): Promise<unknown> => t.rejects(app.addJob('echo', 1, { name: 'late', transaction }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /does not answer/ })
    const beginning = late.query('BEGIN')
    await refused()
    await refused()
    await late.connect()
    await beginning
    await late.query('SELECT 1')
    await app.addJob('echo', 2, { name: 'late', transaction })
    await late.query('COMMIT')
    t.equal(await (await app.getJob('late'))!.wait(), 2)
    await late.end()
  })

  await t.test('may be one of two hundred transactions at once', async (t) => {
    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const client = await pool.connect()
      await client.query('BEGIN')
      await app.addJob('idle', i, { name: `many ${i}`, delay: 60_000, transaction: client })
      await client.query(i % 2 === 0 ? 'COMMIT' : 'ROLLBACK')
      client.release()
    }))
    const found = await Promise.all(Array.from({ length: 200 }, async (_, i) => await app.getJob(`many ${i}`) !== undefined))
    t.same(found, Array.from({ length: 200 }, (_, i) => i % 2 === 0))
  })

  await t.test('may be one of knex', async (t) => {
    const db = knex({ client: 'pg', connection: url })
    t.teardown(() => db.destroy())
    await db.transaction(async (trx) => {
      const transaction = await trx.client.acquireConnection()
      await app.addJob('echo', 'knex', { name: 'knex', transaction })
      t.equal(await app.getJob('knex'), undefined)
    })
    t.equal(await (await app.getJob('knex'))!.wait(), 'knex')
    await t.rejects(db.transaction(async (trx) => {
      await app.addJob('echo', 1, { name: 'no knex', transaction: await trx.client.acquireConnection() })
      throw new Error('rolled back')
    }), { message: 'rolled back' })
    t.equal(await app.getJob('no knex'), undefined)
  })

  await t.test('may be one of @fastify/postgres', async (t) => {
    const own = await jobsApp(t, url, {
      define: async (app) => {
        await app.register(fastifyPostgres, { connectionString: url })
        define(app)
      }
    })
    await own.pg.transact(async (client) => own.addJob('echo', 'pg', { name: 'pg', transaction: client }))
    t.equal(await (await own.getJob('pg'))!.wait(), 'pg')
  })
})

t.test('on Redis there is no transaction to add a job in', async (t) => {
  const server = await startRedis()
  if (server === undefined) return t.pass('not on Redis', { skip: 'There is no redis-server on this machine' })
  t.teardown(() => server.close())
  const app = await jobsApp(t, server.connection, { define })
  const transaction = { query: async () => t.fail('it was asked') }
  await t.rejects(app.addJob('echo', 1, { transaction }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /'transaction' .* Redis/ })
})
