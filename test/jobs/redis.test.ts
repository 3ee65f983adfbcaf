import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import fastifyJobs from '../../lib/jobs/index'
import { eventually } from '../fixtures/fleet'
import { testJobsContract } from '../fixtures/jobs-contract'
import { freePort, startRedis, type Server } from '../fixtures/redis'
import { appWithTasks, nextTask, untilAborted } from '../fixtures/app'

t.setTimeout(170_000)

t.test('jobs on Redis', async (t) => {
  const server = await startRedis()
  if (server === undefined) {
    t.pass('jobs on Redis', { skip: 'there is no redis-server on this machine; `apt-get install redis-server` brings one' })
    return
  }
  await t.test('an app that has closed does not hold the process', (t) => holdsNothing(t, server))
  await t.test('a Redis that goes while the app boots is reached later, by no more connections than are needed', (t) => goesWhileBooting(t, server))
  await t.test('a job that is handed back is not left to the blocking read of an idle process', (t) => isHandedBackAtOnce(t, server))
  await t.test('a result that Redis does not take for a while is noted later', (t) => takesNoResult(t, server))
  await t.test('a Redis that takes no writes is not asked without a pause', (t) => isNotAskedWithoutPause(t, server))
  await testJobsContract(t, server, { races: 300 })
})

async function doubling (t: Test, connection: object | string): Promise<FastifyInstance> {
  const app = await appWithTasks(t)
  await app.register(fastifyJobs, { connection })
  app.defineJob('double', async (_app, _task, n: number) => 2 * n)
  await app.ready()
  return app
}

async function holdsNothing (t: Test, server: Server): Promise<void> {
  const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const before = timers()
  const app = await doubling(t, server.connection)
  t.equal(await (await app.addJob('double', 2)).wait(), 4)
  await app.close()
  t.equal(timers(), before)
}

async function isHandedBackAtOnce (t: Test, server: Server): Promise<void> {
  let started = (_pid: string): void => {}
  const member = async (name: string): Promise<FastifyInstance> => {
    const app = await appWithTasks(t)
    await app.register(fastifyJobs, { connection: server.connection, queue: 'handed-back' })
    app.defineJob('kind', (app, task) => {
      started(name)
      return untilAborted(app, task)
    }, { onClose: 'cancel' })
    await app.ready()
    return app
  }
  const next = (): Promise<string> => new Promise((resolve) => { started = resolve })
  // It waits for more jobs, and longer than the idle one.
  const leaver = await member('leaver')
  const first = next()
  await leaver.addJob('kind', 1)
  t.equal(await first, 'leaver')
  const idle = await member('idle')
  await sleep(300)
  const again = next()
  const since = Date.now()
  await leaver.close()
  t.equal(await again, 'idle')
  t.ok(Date.now() - since < 1_000, `after ${Date.now() - since} ms`)
  await idle.close()
}

async function goesWhileBooting (t: Test, server: Server): Promise<void> {
  const { port: behind } = server.connection as { port: number }
  const port = await freePort()
  const clients = new Set<Socket>()
  let goes = true
  const proxy = createServer((client) => {
    clients.add(client)
    const upstream = connect(behind, '127.0.0.1')
    for (const [one, other] of [[client, upstream], [upstream, client]]) one.on('error', () => {}).on('close', () => other.destroy())
    client.on('close', () => clients.delete(client))
    upstream.pipe(client)
    client.on('data', (data) => {
      // The first that is asked of a connection once it is ready.
      if (!goes || !data.includes('xadd')) return upstream.write(data)
      goes = false
      proxy.close()
      for (const one of clients) one.destroy()
    })
  })
  await new Promise<void>((resolve) => { proxy.listen(port, '127.0.0.1', resolve) })
  const printed = t.capture(console, 'error')
  t.teardown(() => proxy.close())
  const app = await doubling(t, { port, retryStrategy: () => 50 })
  t.equal(goes, false)
  await t.rejects(app.addJob('double', 2), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  // Long enough for what is left over to try again, and to reportProblem.
  await sleep(200)
  proxy.listen(port, '127.0.0.1')
  while (clients.size < 3) await once(proxy, 'connection')
  const job = await eventually(() => app.addJob('double', 2).catch(() => undefined), (job) => job !== undefined)
  t.equal(await job!.wait(), 4)
  t.equal(clients.size, 3)
  await app.close()
  t.same(printed().map(({ args }) => args), [], 'nothing was printed')
}

/** Lets Redis take writes or not, and counts what it refuses. */
function adminOf (t: Test, server: Server) {
  const admin = new Redis(server.connection as object)
  t.teardown(() => admin.quit())
  return {
    takeWrites: (takes: boolean) => admin.config('SET', 'min-replicas-to-write', takes ? '0' : '1'),
    refusals: async () => Number(/NOREPLICAS:count=(\d+)/.exec(await admin.info('errorstats'))?.[1] ?? 0)
  }
}

async function takesNoResult (t: Test, server: Server): Promise<void> {
  const { takeWrites, refusals } = adminOf(t, server)
  const app = await appWithTasks(t)
  await app.register(fastifyJobs, { connection: server.connection, queue: 'no-writes', lockDuration: 60_000 })
  let runs = 0
  let release = (): void => {}
  app.defineJob('work', async () => {
    runs++
    await new Promise<void>((resolve) => { release = resolve })
    return 'result'
  })
  await app.ready()
  const started = nextTask(app)
  const job = await app.addJob('work', {})
  await started
  await takeWrites(false)
  release()
  await t.rejects(app.addJob('work', {}), { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  await eventually(refusals, (count) => count > 1)
  await takeWrites(true)
  t.equal(await job.wait(), 'result')
  t.equal(runs, 1)
}

async function isNotAskedWithoutPause (t: Test, server: Server): Promise<void> {
  const { takeWrites, refusals } = adminOf(t, server)
  const before = await refusals()
  const app = await appWithTasks(t)
  await app.register(fastifyJobs, { connection: server.connection, queue: 'no-pause' })
  app.defineJob('double', async (_app, _task, n: number) => 2 * n)
  // When the worker asks for its first job.
  app.addHook('onReady', async () => { await takeWrites(false) })
  await app.ready()
  // Long enough to ask some thousand times.
  await sleep(1_500)
  await takeWrites(true)
  const count = await refusals() - before
  t.ok(count > 0 && count < 50, `asked ${count} times`)
  t.equal(await (await app.addJob('double', 2)).wait(), 4)
}
