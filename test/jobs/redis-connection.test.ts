import { EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { RedisConnection } from '../../lib/jobs/redis'
import { fakeLog } from '../fixtures/log'

const REDIS = 'redis_version:7.2.0\r\nmaxmemory_policy:noeviction\r\n'

/** A client as BullMQ hands it out. It has no server: it says what it is told to. */
class FakeClient extends EventEmitter {
  status = 'ready'
  isCluster: boolean | undefined = undefined
  stream: EventEmitter | undefined = new EventEmitter()
  told = REDIS
  disconnected = 0
  duplicate = (): void => {}
  async info (): Promise<string> { return this.told }
  disconnect (): void {
    this.disconnected++
    this.status = 'end'
    this.emit('end')
  }
}

/** A connection on a BullMQ that only notes what it is told. */
function connectionOf (target: unknown = { port: 1 }) {
  const { log, warnings } = fakeLog()
  const client = target instanceof FakeClient ? target : new FakeClient()
  const made: any[] = []
  const closed: unknown[] = []
  const events: unknown[] = []
  const state = { isClosing: false }
  const engine = {
    RedisConnection: class extends EventEmitter {
      readonly client = Promise.resolve(client)
      constructor (...args: unknown[]) {
        super()
        made.push({ args, emitter: this })
      }

      async close (force: boolean): Promise<void> {
        closed.push(force)
        if (client !== target) client.disconnect()
      }
    }
  }
  const connection = new RedisConnection(engine as never, target as never, {
    log,
    onProblem: (error) => { events.push(error.message) },
    onLost: () => { events.push('lost') },
    isClosing: () => state.isClosing
  })
  return { connection, client, made, closed, events, warnings, state }
}

t.test('BullMQ is given the target and a connection of the plugin\'s own, that waits for Redis', async (t) => {
  for (const [target, expected] of [['redis://127.0.0.1:1', { url: 'redis://127.0.0.1:1' }], [{ port: 1 }, { port: 1 }]] as const) {
    const { connection, client, made } = connectionOf(target)
    await connection.open()
    t.match(made[0].args, [{ ...expected, maxRetriesPerRequest: null }, { shared: false, blocking: false, skipVersionCheck: true }])
    t.same(connection.options.connection === client as never, true)
  }
})

t.test('a lost connection is tried again, a second later at most, until the app closes', async (t) => {
  const { connection, made, state } = connectionOf()
  await connection.open()
  const [{ retryStrategy }] = made[0].args
  t.same([1, 3, 20].map(retryStrategy), [100, 300, 1_000])
  state.isClosing = true
  t.equal(retryStrategy(1), null)
})

t.test('the caller may say when a lost connection is tried again', async (t) => {
  const { connection, made } = connectionOf({ port: 1, retryStrategy: () => 7 })
  await connection.open()
  t.equal(made[0].args[0].retryStrategy(1), 7)
})

t.test('problems and losses are told', async (t) => {
  const { connection, made, events } = connectionOf()
  await connection.open()
  made[0].emitter.emit('error', new Error('no'))
  made[0].emitter.emit('close')
  t.same(events, ['no', 'lost'])
})

t.test('a client of the caller\'s is used as it is, and stays open', async (t) => {
  const client = new FakeClient()
  const { connection, made, closed } = connectionOf(client)
  await connection.open()
  t.equal(made[0].args[0], client)
  t.match(made[0].args[1], { shared: true })
  await connection.close()
  t.same(closed, [true])
  t.equal(client.disconnected, 0)
  t.equal(client.listenerCount('ready'), 0)
})

t.test('Redis was heard whenever data came, over another socket too', async (t) => {
  const { connection, client } = connectionOf()
  await connection.open()
  t.equal(connection.heardAt, 0)
  client.stream!.emit('data')
  const first = connection.heardAt
  t.ok(first > 0)
  client.stream = undefined
  client.emit('ready')
  client.stream = new EventEmitter()
  client.emit('ready')
  client.stream.emit('data')
  t.ok(connection.heardAt > first)
})

t.test('Redis is away unless its client is ready, and a cluster unless it is connected', async (t) => {
  const { connection, client } = connectionOf()
  await connection.open()
  t.equal(connection.outage, undefined)
  client.status = 'connect'
  t.match(connection.outage, { message: 'The connection to Redis is connect' })
  client.isCluster = true
  t.equal(connection.outage, undefined)
  client.status = 'reconnecting'
  t.match(connection.outage, { message: 'The connection to Redis is reconnecting' })
})

t.test('BullMQ is told what kind of a server it is, and what it can', async (t) => {
  const all = { canDoubleTimeout: true, canBlockFor1Ms: true }
  for (const [told, expected] of [
    [REDIS, { version: '7.2.0', dbType: 'redis', capabilities: all }],
    ['redis_version:7.0.8\n', { version: '7.0.8', dbType: 'redis', capabilities: all }],
    ['redis_version:7.0\n', { version: '7.0', dbType: 'redis', capabilities: { canDoubleTimeout: true, canBlockFor1Ms: false } }],
    ['redis_version:5.0.9\r\n', { version: '5.0.9', dbType: 'redis', capabilities: { canDoubleTimeout: false, canBlockFor1Ms: false } }],
    ['redis_version:5.0.9\r\nvalkey_version:8.1.0\r\n', { version: '8.1.0', dbType: 'valkey', capabilities: all }],
    ['dragonfly_version:df-1\r\n', { version: 'df-1', dbType: 'dragonfly', capabilities: all }],
    ['', { version: '6.2.0', dbType: 'redis', capabilities: { canDoubleTimeout: true, canBlockFor1Ms: false } }]
  ] as const) {
    const { connection, client } = connectionOf()
    client.told = told
    await connection.open()
    const one = { client: Promise.resolve(client) }
    await connection.adopt({ connection: one })
    t.match(one, expected, told)
  }
})

t.test('a server that evicts keys, or is old, is warned of once', async (t) => {
  const { connection, client, warnings } = connectionOf()
  client.told = 'redis_version:6.0.0\r\nmaxmemory_policy:allkeys-lru\r\n'
  await connection.open()
  await connection.open()
  t.match(warnings, [[{ policy: 'allkeys-lru' }, /evicts keys/], [{ version: '6.0.0' }, 'BullMQ recommends Redis 6.2.0 or later']])
  t.equal(warnings.length, 2)
})

t.test('a server that can be used as it is, is not warned of', async (t) => {
  const { connection, warnings } = connectionOf()
  await connection.open()
  t.same(warnings, [])
})

t.test('closing ends the connections that block too, each once', async (t) => {
  const { connection, client, closed } = connectionOf()
  await connection.open()
  const [blocking, ended] = [new FakeClient(), new FakeClient()]
  ended.status = 'end'
  await connection.adopt({ connection: { client: Promise.resolve(client) }, blockingConnection: { client: Promise.resolve(blocking) } })
  await connection.adopt({ connection: { client: Promise.resolve(ended) } })
  await connection.close()
  t.same([blocking.disconnected, ended.disconnected], [1, 0])
  t.same(closed, [true])
  blocking.emit('connecting')
  t.equal(blocking.disconnected, 2, 'also one that connects again')
})

t.test('closing before Redis was reached ends nothing', async (t) => {
  const { connection, closed } = connectionOf()
  await connection.reconnectsStopped()
  await connection.close()
  t.same(closed, [])
})

t.test('it is known when no connection is tried again', async (t) => {
  const { connection, client } = connectionOf()
  await connection.open()
  client.status = 'reconnecting'
  let stopped = false
  const done = connection.reconnectsStopped().then(() => { stopped = true })
  await turn()
  t.equal(stopped, false)
  client.status = 'end'
  await done
  t.equal(stopped, true)
})
