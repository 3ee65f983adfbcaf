import { connect, createServer, type AddressInfo } from 'node:net'
import { Worker } from 'bullmq'
import t from 'tap'
import { startPostgres } from '../../examples/embedded-postgres'
import fastifyJobs from '../../lib/jobs/index'
import { eventually } from '../fixtures/fleet'
import { freePort } from '../fixtures/redis'
import { appWithTasks } from '../fixtures/app'

t.setTimeout(60_000)

const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4])
const FIELDS = 'SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'

/** PostgreSQL's own message to every client when it is shut down. */
function shutdownMessage (): Buffer {
  const message = Buffer.alloc(5 + FIELDS.length)
  message.write('E')
  message.writeUInt32BE(4 + FIELDS.length, 1)
  message.write(FIELDS, 5)
  return message
}

t.test('a PostgreSQL that goes down while its connections are closed does not take the process with it', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const { hostname, port } = new URL(postgres.url)
  let told = 0
  // It stands before the server and shuts down each connection in the very moment in which the client leaves.
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname)
    server.on('data', (data) => client.write(data)).on('close', () => client.destroy()).on('error', () => {})
    client.on('data', (data) => {
      if (data.equals(TERMINATE)) {
        told++
        client.write(shutdownMessage())
      }
      server.write(data)
    }).on('close', () => server.destroy()).on('error', () => {})
  })
  await new Promise<void>((resolve) => { proxy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => proxy.close())

  const connection = new URL(postgres.url)
  connection.hostname = '127.0.0.1'
  connection.port = String((proxy.address() as AddressInfo).port)
  const app = await appWithTasks(t)
  await app.register(fastifyJobs, { connection: connection.href, redisPrefix: 'closing' })
  app.defineJob('double', async (_app, _task, n: number) => 2 * n)
  await app.ready()
  t.equal(await (await app.addJob('double', 2)).wait(), 4)
  await app.close()
  t.ok(told > 0, 'what was still connected was told')
})

t.test('a worker that does not come to its close does not hold the process', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const timeouts = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const worker = Worker.prototype as any
  const { whenCurrentJobsFinished } = worker
  t.teardown(() => { worker.whenCurrentJobsFinished = whenCurrentJobsFinished })
  worker.whenCurrentJobsFinished = () => new Promise(() => {})
  const before = timeouts()
  const app = await appWithTasks(t)
  await app.register(fastifyJobs, { connection: postgres.url, closeTimeout: 100 })
  app.defineJob('double', async (_app, _task, n: number) => 2 * n)
  await app.ready()
  t.equal(await (await app.addJob('double', 2)).wait(), 4)
  await app.close()
  t.equal(await eventually(async () => timeouts(), (left) => left <= before), before)
})

t.test('a Redis that was never there is not looked for again once the app closes', async (t) => {
  const tries: number[] = []
  const connection = { port: await freePort(), retryStrategy: (times: number) => tries.push(times) && 10 }
  const app = await appWithTasks(t)
  await app.register(fastifyJobs, { connection })
  await app.ready()
  while (tries.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  await app.close()
  const tried = tries.length
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(tries.length, tried)
})
