import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import t, { type Test } from 'tap'
import { untilAborted } from '../fixtures/app'
import { jobsApp } from '../fixtures/jobs-app'
import { sharedPostgres } from '../fixtures/postgres'
import { eventually } from '../fixtures/fleet'
import { freePort, startRedis, type Server } from '../fixtures/redis'

t.setTimeout(120_000)

const postgres = sharedPostgres()
t.teardown(async () => (await postgres).close())

const sockets = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length
const kinds = (app: { defineJob: (kind: string, handler: any, options?: object) => void }): void => {
  app.defineJob('echo', async (_app: unknown, _task: unknown, data: unknown) => data)
  app.defineJob('idle', untilAborted)
}

/** A server in front of another that can fall silent, or drop its connections. */
async function proxyTo (t: Test, port: number, hostname = '127.0.0.1') {
  const clients = new Set<Socket>()
  const proxy = {
    port: 0,
    silent: false,
    clients,
    drop: () => { for (const client of clients) client.destroy() }
  }
  const server = createServer((client) => {
    const upstream = connect(port, hostname)
    clients.add(client)
    client.on('data', (chunk) => { if (!proxy.silent) upstream.write(chunk) })
    upstream.on('data', (chunk) => { if (!proxy.silent) client.write(chunk) })
    for (const [one, other] of [[client, upstream], [upstream, client]]) one.on('error', () => {}).on('close', () => other.destroy())
    client.on('close', () => clients.delete(client))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy.port = (server.address() as AddressInfo).port
  t.teardown(() => {
    server.close()
    proxy.drop()
  })
  return proxy
}

t.test('PostgreSQL', async (t) => {
  const { url } = await postgres
  const { hostname, port } = new URL(url)
  const through = (other: number): string => {
    const copy = new URL(url)
    copy.hostname = '127.0.0.1'
    copy.port = String(other)
    return copy.href
  }

  await t.test('five queues share a pool: their queries, and two that listen for each', async (t) => {
    const before = sockets()
    const app = await jobsApp(t, url, { options: { queues: { default: 1, a: 1, b: 1, c: 1, d: 1 } }, define: kinds })
    await Promise.all(Array.from({ length: 50 }, async (_, i) => app.addJob('echo', i)))
    t.ok(sockets() - before <= 14, `${sockets() - before} connections`)
    await app.close()
    t.equal(await eventually(async () => sockets(), (open) => open <= before), before, 'and none is left')
  })

  await t.test('a burst waits for connections to be free, however long that takes', async (t) => {
    const connection = { connectionString: url, max: 1, connectionTimeoutMillis: 1_500 }
    const app = await jobsApp(t, connection, { options: { worker: false }, define: kinds })
    const added = await Promise.allSettled(Array.from({ length: 2_000 }, async (_, i) => app.addJob('echo', i)))
    t.same(added.filter(({ status }) => status === 'rejected'), [])
    t.equal(await app.purgeJobs(), 0)
  })

  await t.test('so it does in a pool of the caller\'s, which is given back as it was', async (t) => {
    const pool = new pg.Pool({ connectionString: url, max: 3, connectionTimeoutMillis: 1_500, options: '-c search_path=bullmq,public' })
    t.teardown(() => pool.end())
    const app = await jobsApp(t, pool, { define: kinds })
    const added = await Promise.allSettled(Array.from({ length: 1_500 }, async (_, i) => app.addJob('idle', i, { delay: 60_000 })))
    t.same(added.filter(({ status }) => status === 'rejected'), [])
    t.equal(await (await app.addJob('echo', 'ran')).wait(), 'ran')
    await app.close()
    t.equal(pool.listenerCount('error'), 0)
    const client = await pool.connect()
    t.notOk(Object.hasOwn(client, 'removeAllListeners'))
    client.release()
  })

  await t.test('a pool that cannot serve stops the boot, with what is to be set', async (t) => {
    for (const [options, message] of [
      [{ max: 2 }, /the pool needs a max of 3 or more/],
      [{ max: 5 }, /schema bullmq must come first in the connections' search_path: make the pool with \{ options: '-c search_path=bullmq,public' \}/]
    ] as const) {
      const pool = new pg.Pool({ connectionString: url, ...options })
      t.teardown(() => pool.end())
      const app = await jobsApp(t, pool, { ready: false })
      await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_JOB_INVALID_STORE', message })
    }
  })

  await t.test('connections of our own that have another search_path stop the boot, with what is to be set', async (t) => {
    const app = await jobsApp(t, `${url}?options=-c%20search_path%3Dpublic`, { ready: false })
    await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_JOB_INVALID_STORE', message: /a pooler such as PgBouncer drops it, ALTER ROLE … SET search_path = bullmq, public/ })
  })

  await t.test('a PgBouncer that refuses the search_path stops the boot, with what is to be set', async (t) => {
    const fields = 'SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0'
    const answer = Buffer.alloc(5 + fields.length)
    answer.write('E')
    answer.writeUInt32BE(4 + fields.length, 1)
    answer.write(fields, 5)
    const bouncer = createServer((client) => client.on('error', () => {}).once('data', () => client.end(answer)))
    bouncer.listen(0, '127.0.0.1')
    await once(bouncer, 'listening')
    t.teardown(() => bouncer.close())
    const app = await jobsApp(t, `postgres://u:hunter2@127.0.0.1:${(bouncer.address() as AddressInfo).port}/x`, { ready: false })
    await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_JOB_INVALID_STORE', message: /ignore_startup_parameters = options .* search_path = bullmq/ })
  })

  await t.test('tables that are of no version for this BullMQ stop the boot', async (t) => {
    for (const more of [{ migrate: false }, { skipMigrations: true }]) {
      const app = await jobsApp(t, { connectionString: url, schema: 'nowhere', ...more }, { ready: false })
      await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_JOB_INVALID_STORE', name: 'SchemaMigrationRequiredError' })
    }
  })

  await t.test('a schema of the caller\'s own is made, and used', async (t) => {
    const app = await jobsApp(t, { connectionString: url, schema: 'Own' }, { define: kinds })
    t.equal(await (await app.addJob('echo', 'ran')).wait(), 'ran')
  })

  await t.test('a server that falls silent does not hold the process once the app is closed', async (t) => {
    const proxy = await proxyTo(t, Number(port), hostname)
    const app = await jobsApp(t, through(proxy.port), { define: kinds })
    await app.addJob('echo', 1)
    proxy.silent = true
    const asked = app.addJob('echo', 2).catch((error) => error.code)
    const since = Date.now()
    await app.close()
    t.ok(Date.now() - since < 4_000, `closed after ${Date.now() - since} ms`)
    t.equal(await asked, 'FST_ERR_JOB_ENGINE_UNAVAILABLE')
    t.equal(await eventually(async () => proxy.clients.size, (open) => open === 0), 0)
  })

  await t.test('a server that drops its connections is reached again', async (t) => {
    const proxy = await proxyTo(t, Number(port), hostname)
    const app = await jobsApp(t, through(proxy.port), { define: kinds })
    t.equal(await (await app.addJob('echo', 1)).wait(), 1)
    proxy.drop()
    const job = await eventually(() => app.addJob('echo', 2).catch(() => undefined), (job) => job !== undefined)
    t.equal(await job!.wait(), 2)
  })
})

t.test('Redis', async (t) => {
  const server = await startRedis()
  if (server === undefined) {
    t.pass('connections to Redis', { skip: 'there is no redis-server on this machine; `apt-get install redis-server` brings one' })
    return
  }
  t.teardown(() => server.close())
  await onRedis(t, server)
})

async function onRedis (t: Test, server: Server): Promise<void> {
  const { port } = server.connection as { port: number }
  const admin = new Redis({ port })
  t.teardown(() => admin.disconnect())

  await t.test('five queues share a client: two more connections for each', async (t) => {
    const before = sockets()
    const app = await jobsApp(t, server.connection, { options: { queues: { default: 1, a: 1, b: 1, c: 1, d: 1 } }, define: kinds })
    await Promise.all(Array.from({ length: 50 }, async (_, i) => app.addJob('echo', i)))
    t.equal(sockets() - before, 11)
    await app.close()
    t.equal(await eventually(async () => sockets(), (open) => open <= before), before, 'and none is left')
  })

  await t.test('a client of the caller\'s serves, and stays open', async (t) => {
    const client = new Redis({ port, maxRetriesPerRequest: null })
    t.teardown(() => client.disconnect())
    const app = await jobsApp(t, client, { define: kinds })
    t.equal(await (await app.addJob('echo', 'ran')).wait(), 'ran')
    await app.close()
    t.equal(await client.ping(), 'PONG')
    t.equal(client.listenerCount('close'), 0)
  })

  await t.test('keys are prefixed by redisPrefix, not by the prefix of the registration', async (t) => {
    const queue = 'prefixed'
    const app = await jobsApp(t, server.connection, { options: { queue, redisPrefix: 'mine', prefix: '/api' }, define: kinds })
    await app.addJob('idle', 1, { delay: 60_000 })
    t.ok((await admin.keys(`mine:${queue}:*`)).length > 0)
    t.same(await admin.keys(`bull:${queue}:*`), [])
    t.same(await admin.keys('/api*'), [])
  })

  await t.test('what is under way when the connection is lost fails at once, and so does what comes before it is back', async (t) => {
    const proxy = await proxyTo(t, port)
    const app = await jobsApp(t, { port: proxy.port, retryStrategy: () => 50 }, { define: kinds })
    proxy.silent = true
    const asked = app.addJob('echo', 1).catch((error) => error)
    await sleep(50)
    const since = Date.now()
    proxy.drop()
    t.match(await asked, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { message: 'The connection was lost' } })
    await t.rejects(app.addJob('echo', 2), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
    t.ok(Date.now() - since < 1_000)
    proxy.silent = false
    const job = await eventually(() => app.addJob('echo', 3).catch(() => undefined), (job) => job !== undefined)
    t.equal(await job!.wait(), 3)
  })

  await t.test('eviction is warned of once, in the app\'s log', async (t) => {
    const printed = t.capture(console, 'warn')
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    t.teardown(() => admin.config('SET', 'maxmemory-policy', 'noeviction'))
    const app = await jobsApp(t, server.connection, { options: { queues: { default: 1, a: 1 } }, define: kinds })
    t.match(app.lines, [{ level: 40, policy: 'allkeys-lru', msg: /maxmemory-policy to noeviction/ }])
    t.equal(app.lines.length, 1)
    t.same(printed(), [])
  })

  await t.test('no password is logged or told, be it right or wrong, whatever goes wrong', async (t) => {
    const secret = 'hunter2-Secret'
    const printed = [t.capture(console, 'warn'), t.capture(console, 'error'), t.capture(console, 'log')]
    await admin.config('SET', 'requirepass', 'another')
    t.teardown(() => admin.config('SET', 'requirepass', ''))
    const shown: string[] = []
    for (const connection of [
      `redis://:${secret}@127.0.0.1:${port}`, { port, password: secret }, { port, username: 'u', password: secret },
      `redis://:${secret}@127.0.0.1:${await freePort()}`, `postgres://u:${secret}@127.0.0.1:${await freePort()}/x`,
      { connectionString: url(await postgres, secret) }
    ]) {
      const app = await jobsApp(t, connection, { define: kinds })
      await sleep(100)
      const error = await app.addJob('echo', 1).catch((error) => error)
      shown.push(JSON.stringify(app.lines), inspect(error, { depth: 10, showHidden: true }))
      t.ok(app.lines.length > 0)
      await app.close()
    }
    for (const options of [
      { connection: `redis://:${secret}@127.0.0.1:port` }, { connection: ` redis://:${secret}@h` }, { connection: `redis:/:${secret}@h` },
      { connection: `http://u:${secret}@h` }, { connection: `${secret}@h` }, { connection: ['redis://h', secret + '@h'] },
      { queue: `redis://:${secret}@h` }, { redisPrefix: { password: secret } }, { limiter: { password: secret } },
      { worker: `postgres://u:${secret}@h/d` }, { concurrency: `redis://:${secret}@h` }, { queues: `redis://:${secret}@h` },
      { queues: { [`redis://:${secret}@h`]: 0 } }, { telemetry: `password=${secret}` }, { conection: `redis://:${secret}@h` }
    ]) {
      const error = await jobsApp(t, {}, { options, ready: false }).then(async (app) => { await app.close(); return app.lines }, (error) => error)
      shown.push(inspect(error, { depth: 10, showHidden: true }))
    }
    shown.push(...printed.flatMap((calls) => calls()).map(({ args }) => inspect(args)))
    t.notMatch(shown.join('\n'), secret)
    t.match(shown.join('\n'), /WRONGPASS/)
  })
}

function url ({ url }: { url: string }, password: string): string {
  const copy = new URL(url)
  copy.username = 'nobody'
  copy.password = password
  return copy.href
}
