import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { start, startExample } from '../fixtures/child'

const example = (file: string): string => join(__dirname, '../../examples', file)

t.test('the receiver of the WebSocket feed goes when its client leaves, and is purged', async (t) => {
  const feed = await startExample(t, 'websocket-feed.ts', /ws:\/\/\S+/)
  const socket = new WebSocket(feed.url)
  t.teardown(() => socket.terminate())
  socket.on('open', () => socket.send('hello'))
  const [answer] = await once(socket, 'message')
  t.equal(answer.toString(), 'received: hello')

  const [, receiver] = await feed.printed(/(receiver:\S+) has started/)
  socket.terminate()
  const [, state, purged, left] = await feed.printed(new RegExp(`${receiver} is (\\w+), (\\d+) purged, (\\d+) left`))
  t.same([state, purged, left], ['cancelled', '1', '0'])

  process.kill(feed.pid, 'SIGTERM')
  t.equal(await feed.exited, 0)
})

t.test('a lease is renewed by its client, and expires when the client is killed', async (t) => {
  const lease = start(t, [example('lease.ts')])
  t.equal(await lease.exited, 0, lease.output())
  const output = lease.output()
  t.equal(output.match(/Heartbeat: 204/g)?.length, 4, 'four seconds and more')
  t.notMatch(output, 'Heartbeat: 410')
  t.match(output, /The client is gone after 5 heartbeats\nThe lease has expired: Task 'session' was cancelled/)
})

t.test('the primary works once before the workers start, and each worker has its task', async (t) => {
  const cluster = start(t, [example('cluster.ts')])
  const started = await cluster.printed(/(?:worker (\d+): poller has started[^]*){3}/)
  t.match(started.input, /^primary \d+: migrating, once\nworker/, 'the work in the primary comes first')
  process.kill(cluster.pid, 'SIGTERM')
  t.equal(await cluster.exited, 0)

  const output = cluster.output()
  const pids = (pattern: RegExp): string[] => [...output.matchAll(pattern)].map(([, pid]) => pid).sort()
  const workers = pids(/worker (\d+): poller has started/g)
  t.equal(new Set(workers).size, 3)
  t.notOk(workers.includes(String(cluster.pid)), 'none runs in the primary')
  t.same(pids(/worker (\d+): poller has stopped/g), workers)
  t.match(output, 'every worker has stopped')
  t.equal(output.match(/migrating/g)!.length, 1)
})
