/** What a real Redis and real processes do to each other. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Redis from 'ioredis'
import t, { type Test } from 'tap'
import { ProcessMember, until } from '../fixtures/processes'
import { startProxy } from '../fixtures/proxy'
import { startRedis, type Server } from '../fixtures/redis'

t.setTimeout(900_000)

interface Connection { host: string, port: number }

let redis: Server | undefined

t.before(async () => { redis = await startRedis() })
t.teardown(() => redis?.close())

/** With a Redis of the machine; loudly without where there is none. */
function test (title: string, run: (t: Test, connection: Connection) => Promise<void>): void {
  t.test(title, async (t: any) => {
    t.setTimeout(180_000)
    if (redis === undefined) t.pass(title, { skip: 'there is no redis-server on this machine' })
    else await run(t, redis.connection as Connection)
  })
}

const list = (member: ProcessMember, query: object = {}): Promise<any> => member.call('call', 'list', { limit: 100, ...query })
const warnings = async (member: ProcessMember): Promise<string[]> => (await member.call('log')).map(({ msg }: any) => msg)

test('a name in two processes is listed twice, and cancelled in both or in the one that is named', async (t, connection) => {
  const [a, b, c] = await ProcessMember.boot(t, 3, connection)
  await b.call('add', 'twin', { ttl: 60_000 })
  await c.call('add', 'twin', { ttl: 60_000 })
  const { tasks } = await list(a)
  t.same(tasks.map(({ name }: any) => name), ['twin', 'twin'])
  t.same(tasks.map(({ process }: any) => process.id).sort(), [b.id, c.id].sort())
  t.match(await a.call('call', 'cancel', 'twin', c.id), { state: 'cancelled', process: { id: c.id } })
  t.equal(await b.call('state', 'twin'), 'running')
  await c.call('add', 'twin', { ttl: 60_000 })
  t.match(await a.call('call', 'cancel', 'twin'), { state: 'cancelled' })
  t.same([await b.call('state', 'twin'), await c.call('state', 'twin')], ['cancelled', 'cancelled'])
})

test('a process that is killed in the middle of a request is missing, and then forgotten', async (t, connection) => {
  const [a, b] = await ProcessMember.boot(t, 2, connection)
  await b.call('add', 'x', {}, 'ignoresSignal')
  const cancel = a.call('call', 'cancel', 'x')
  await until(async () => await b.call('state', 'x') === 'cancelling')
  b.signal('SIGKILL')
  await t.rejects(cancel, { code: 'FST_ERR_TASK_OUT_OF_REACH', missing: [b.id] })
  await until(async () => (await list(a)).missing === undefined)
  await t.rejects(a.call('call', 'cancel', 'x'), { code: 'FST_ERR_TASK_NOT_FOUND' })
  t.same(await a.call('problems'), [])
})

test('a process that was stopped does not execute requests that arrived meanwhile', async (t, connection) => {
  const [a, b] = await ProcessMember.boot(t, 2, connection)
  await a.call('add', 'here')
  await b.call('add', 'there')
  b.signal('SIGSTOP')
  const page = await list(a)
  t.match(page, { tasks: [{ name: 'here' }], missing: [b.id] })
  t.equal(page.tasks.length, 1)
  await t.rejects(a.call('call', 'cancel', 'there'), { code: 'FST_ERR_TASK_OUT_OF_REACH', missing: [b.id] })
  await until(async () => (await list(a)).missing === undefined)
  b.signal('SIGCONT')
  await until(async () => (await list(a)).tasks.length === 2)
  t.equal(await b.call('state', 'there'), 'running')
  t.match(await a.call('call', 'cancel', 'there'), { state: 'cancelled' })
})

test('a process that is cut off controls its own tasks, and rejoins the others', async (t, connection) => {
  const [a] = await ProcessMember.boot(t, 1, connection)
  const proxy = await startProxy(t, connection)
  const b = new ProcessMember(t)
  await b.boot(proxy.connection)
  await a.call('add', 'there', {}, 'ignoresSignal')
  await b.call('add', 'here')
  await until(async () => (await list(b)).tasks.length === 2)
  const cancel = b.call('call', 'cancel', 'there')
  await until(async () => await a.call('state', 'there') === 'cancelling')
  proxy.cut()
  await t.rejects(cancel, { code: 'FST_ERR_TASK_OUT_OF_REACH', missing: [a.id] })
  t.match(await list(b), { tasks: [{ name: 'here' }], missing: [a.id] })
  await until(async () => (await list(a)).tasks.length === 1)
  proxy.heal()
  await until(async () => (await list(b)).tasks.length === 2)
  await until(async () => (await list(a)).tasks.length === 2)
  t.equal((await warnings(b)).length, 1)
  t.same([...await a.call('problems'), ...await b.call('problems')], [])
})

test('while Redis is unavailable for ten seconds each process controls its own tasks, and logs one line', async (t) => {
  const server = await startRedis() as Server
  t.teardown(() => server.close())
  const [a, b] = await ProcessMember.boot(t, 2, server.connection as Connection)
  await a.call('add', 'a', { ttl: 60_000 })
  await b.call('add', 'b', { ttl: 60_000 })
  for (let outage = 1; outage <= 2; outage++) {
    await server.stop()
    const back = Date.now() + 10_000
    await a.call('add', `own-${outage}`)
    while (Date.now() < back) {
      const page = await list(a)
      t.same(page.missing, [b.id])
      t.ok(page.tasks.some(({ name }: any) => name === 'a'))
      await a.call('call', 'heartbeat', 'a')
      t.equal((await fetch(`${a.url}/tasks/b`)).status, 503)
      await sleep(500)
    }
    t.match(await a.call('call', 'cancel', `own-${outage}`), { state: 'cancelled' })
    await server.start()
    await until(async () => {
      const page = await list(a)
      return page.missing === undefined && page.tasks.some(({ name }: any) => name === 'b')
    })
    await until(async () => (await list(b)).missing === undefined)
    for (const one of [a, b]) t.equal((await warnings(one)).length, outage)
  }
  t.equal(await b.call('state', 'b'), 'running')
  t.same([...await a.call('problems'), ...await b.call('problems')], [])
})

test('a process that starts without Redis works alone, joins later, and closes in time without it', async (t) => {
  const server = await startRedis() as Server
  t.teardown(() => server.close())
  const [a] = await ProcessMember.boot(t, 1, server.connection as Connection)
  await server.stop()
  const b = new ProcessMember(t)
  await b.boot(server.connection as Connection)
  await b.call('add', 'b')
  t.match(await list(b), { tasks: [{ name: 'b' }] })
  await sleep(12_000)
  await server.start()
  await until(async () => (await list(a)).tasks.length === 1, 30_000)
  await until(async () => (await b.call('call', 'summary')).processes.length === 2, 30_000)
  await server.stop()
  t.ok(await b.call('close') < 5_000)
  t.same([...await a.call('problems'), ...await b.call('problems')], [])
})

test('events are sent while a process listens, and stop with the listener, even if it was killed', async (t, connection) => {
  const [a, b, c] = await ProcessMember.boot(t, 3, connection)
  t.equal(await b.call('listeners'), 0)
  await a.call('subscribe')
  await c.call('subscribe')
  await until(async () => await b.call('listeners') === 1)
  await b.call('add', 'x')
  await until(async () => (await a.call('events')).events.length === 1)
  t.same((await a.call('events')).events, [{ event: 'start', name: 'x', process: b.id }])
  await a.call('unsubscribe')
  t.equal(await b.call('listeners'), 1)
  c.signal('SIGKILL')
  await until(async () => await b.call('listeners') === 0)
  await until(async () => await a.call('listeners') === 0)
  t.equal(await a.call('listeners') + await b.call('listeners'), 0)
})

test('a listener is notified when a process leaves, and receives its tasks when it returns', async (t, connection) => {
  const [a, b] = await ProcessMember.boot(t, 2, connection)
  await b.call('add', 'x')
  await a.call('subscribe')
  await until(async () => await b.call('listeners') === 1)
  b.signal('SIGSTOP')
  await until(async () => (await a.call('events')).gone.length === 1)
  b.signal('SIGCONT')
  await until(async () => (await a.call('events')).events.some(({ event, name }: any) => event === 'snapshot' && name === 'x'))
  t.same((await a.call('events')).gone, [b.id])
})

test('garbage, huge and forged messages disturb nobody', async (t, connection) => {
  const [a, b] = await ProcessMember.boot(t, 2, connection)
  await a.call('subscribe')
  await until(async () => await b.call('listeners') === 1)
  await b.call('add', 'x', { ttl: 60_000 })
  const client = new Redis(connection)
  t.teardown(() => client.disconnect())
  const topics = await client.pubsub('CHANNELS') as string[]
  t.equal(topics.length, 4)
  for (const topic of topics) {
    for (const bytes of ['', 'garbage', Buffer.from([0xc1]), Buffer.from([0x80]), randomBytes(1_000), Buffer.alloc(5_000_000, 'x')]) {
      await client.publish(topic, bytes)
    }
  }
  const { tasks } = await list(a)
  t.match(tasks, [{ name: 'x', state: 'running' }])
  await a.call('call', 'heartbeat', 'x')
  for (const one of [a, b]) {
    t.same(await one.call('problems'), [])
    t.ok((await one.call('log')).length <= 1)
  }
})

test('a rolling deploy is seen as it goes: nobody is missing, nothing is lost', async (t, connection) => {
  const [watcher, ...old] = await ProcessMember.boot(t, 3, connection)
  await watcher.call('subscribe')
  for (const [index, one] of old.entries()) {
    const fresh = new ProcessMember(t)
    await fresh.boot(connection)
    await fresh.call('add', `new-${index}`)
    await one.call('add', `old-${index}`)
    t.match(await watcher.call('call', 'get', `old-${index}`), { state: 'running' })
    await one.call('close')
    const page = await list(watcher)
    t.equal(page.missing, undefined)
    t.ok(page.tasks.some(({ name }: any) => name === `new-${index}`))
    t.notOk(page.tasks.some(({ process }: any) => process.id === one.id))
    // Its tasks ended before it said goodbye.
    const { events, gone } = await watcher.call('events')
    t.ok(events.some(({ event, name }: any) => event === 'end' && name === `old-${index}`))
    t.ok(gone.includes(one.id))
  }
})

test('eight processes of 5,000 tasks each are listed page by page, each task once', async (t, connection) => {
  const all = await ProcessMember.boot(t, 8, connection, { peerTimeout: 10_000 })
  await Promise.all(all.map((one, index) => one.call('addMany', `p${index}:`, 5_000)))
  const seen = new Set<string>()
  let count = 0
  let after: string | undefined
  let last = Infinity
  do {
    const { tasks, next, missing } = await list(all[0], { limit: 1_000, after })
    if (missing !== undefined) t.fail(`missing ${missing}`)
    for (const { name, createdAt } of tasks) {
      if (createdAt > last) t.fail('not the newest first')
      last = createdAt
      seen.add(name)
    }
    count += tasks.length
    after = next
  } while (after !== undefined)
  t.equal(count, 40_000)
  t.equal(seen.size, 40_000)
  const { counts, processes } = await all[3].call('call', 'summary')
  t.equal(counts.running, 40_000)
  t.equal(processes.length, 8)
})

test('200 heartbeats a second reach the other process', async (t, connection) => {
  const [a, b] = await ProcessMember.boot(t, 2, connection)
  const names = Array.from({ length: 200 }, (_, index) => `x${index}`)
  for (const name of names) await b.call('add', name, { ttl: 3_000 })
  for (let second = 0; second < 5; second++) {
    const { failed } = await a.call('beat', names, 1)
    t.equal(failed, 0)
    await sleep(1_000)
  }
  t.equal((await b.call('live')).length, 200)
})
