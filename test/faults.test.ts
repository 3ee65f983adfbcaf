import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { env } from './fixtures/child'
import { appWithTasks, readyApp, untilAborted } from './fixtures/app'

type Message = Record<string, any>

/** A script of the fixtures in a process of its own, and the lines of JSON that it writes. */
function run (t: Test, script: string, args: string[] = [], more: NodeJS.ProcessEnv = {}) {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'fixtures', script), ...args], {
    env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const messages: Message[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line.startsWith('{')) messages.push(JSON.parse(line))
    for (const look of waiting) look()
  })
  /** The messages that have this key, once there are so many. */
  async function told (key: string, count = 1): Promise<Message[]> {
    return await new Promise((resolve) => {
      const look = (): void => {
        const found = messages.filter((message) => key in message)
        if (found.length < count) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  }
  return { child, exited, messages, told }
}

async function load (port: number, count: number): Promise<void> {
  const statuses = await Promise.all(Array.from({ length: count }, async (_, n) =>
    (await fetch(`http://127.0.0.1:${port}/tasks/w${n}`, { method: 'POST' })).status))
  if (statuses.some((status) => status !== 202)) throw new Error(`unexpected statuses ${statuses}`)
}

t.test('on SIGTERM under load every task is cancelled and cleans up before the process ends', async (t) => {
  const server = run(t, 'faulty-server.ts')
  const [{ listening }] = await server.told('listening')
  await load(listening, 50)
  server.child.kill('SIGTERM')
  t.same(await server.exited, [0, null])
  t.equal((await server.told('cleanedUp')).length, 1)
  const [closed] = await server.told('closed')
  t.same(closed, { closed: 'SIGTERM', live: 0 })
  t.same((await server.told('ended')).map(({ state }) => state), Array(51).fill('cancelled'))
})

t.test('SIGKILL under load leaves nothing that keeps a new process from starting', async (t) => {
  const killed = run(t, 'faulty-server.ts')
  const [{ listening }] = await killed.told('listening')
  await load(listening, 20)
  killed.child.kill('SIGKILL')
  t.same(await killed.exited, [null, 'SIGKILL'])
  const next = run(t, 'faulty-server.ts', [], { PORT: String(listening) })
  t.same((await next.told('listening'))[0], { listening })
  await load(listening, 20)
})

t.test('a port in use leaves started tasks, and close() stops them', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const server = run(t, 'faulty-server.ts', [], { PORT: String((taken.address() as AddressInfo).port) })
  const [failed] = await server.told('failed')
  t.match(failed.failed, /EADDRINUSE/)
  t.match(failed.running, /pending|running/)
  t.same(await server.told('closed'), [{ closed: 'after failure', state: 'cancelled', size: 1 }])
  await server.exited
})

t.test('a boot that fails half-way starts nothing, and close() settles pending tasks', async (t) => {
  const server = run(t, 'faulty-server.ts', ['boot fails'])
  t.same(await server.told('failed'), [{ failed: 'half-way', running: 'pending' }])
  t.same(await server.told('closed'), [{ closed: 'after failure', state: 'cancelled', size: 1 }])
  t.same(server.messages.filter((message) => 'cleanedUp' in message), [], 'its function was never called')
  await server.exited
})

t.test('an uncaught error in user code is not swallowed, and the close that follows stops the tasks', async (t) => {
  const server = run(t, 'faulty-server.ts', ['uncaught'])
  t.same(await server.told('closed'), [{ closed: 'uncaught in user code', live: 0 }])
  t.equal((await server.told('cleanedUp')).length, 1)
  t.same(await server.exited, [1, null])
})

t.test('leases are not affected when the wall clock is set back and forth by a day', async (t) => {
  const server = run(t, 'faulty-server.ts', ['clock'])
  t.same(await server.told('expired'), [{ expired: 'FST_ERR_TASK_EXPIRED', renewed: 'running' }])
  server.child.kill('SIGTERM')
  t.same(await server.exited, [0, null])
})

t.test('a worker of a cluster that is killed is replaced, and its task runs again in the new one', async (t) => {
  const primary = run(t, 'cluster-server.ts')
  const [first] = await primary.told('started', 2)
  process.kill(first.pid, 'SIGKILL')
  t.same(await primary.told('exited'), [{ exited: first.pid, signal: 'SIGKILL' }])
  const started = await primary.told('started', 3)
  t.equal(new Set(started.map(({ pid }) => pid)).size, 3)
  primary.child.kill('SIGTERM')
  t.same((await primary.told('closed', 2)).map(({ closed }) => closed), ['cancelled', 'cancelled'])
  await primary.exited
})

// --- close() in each phase ---

t.test('close() before ready cancels pending tasks', async (t) => {
  const app = await appWithTasks(t)
  const task = app.addTask(() => t.fail('never called'), { onClose: 'wait' })
  await app.close()
  t.equal(task.state, 'cancelled')
})

t.test('close() in an onReady hook cancels pending tasks', async (t) => {
  const app = await appWithTasks(t)
  const task = app.addTask(() => t.fail('never called'))
  app.addHook('onReady', (done) => {
    app.close()
    done()
  })
  await Promise.resolve(app.ready()).catch(() => {})
  await app.close()
  t.equal(task.state, 'cancelled')
})

t.test('close() in the turn in which the tasks were to start cancels them', async (t) => {
  const app = await readyApp(t)
  const cancelled = app.addTask(untilAborted)
  const finished = app.addTask(async () => 'done', { onClose: 'wait' })
  await app.close()
  t.equal(cancelled.state, 'cancelled')
  t.equal(finished.result, 'done')
})

t.test('close() from within a task does not wait for that task', async (t) => {
  const app = await readyApp(t)
  const closing = app.addTask(async (app) => await app.close(), { name: 'closer' })
  await app.close()
  t.not(closing.state, 'running')
})

t.test('close() called many times at once cancels each task once', async (t) => {
  const app = await readyApp(t)
  let aborted = 0
  const started = once(app.tasks, 'start')
  const task = app.addTask((_app, { signal }) => new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      aborted++
      setImmediate(resolve, undefined)
    })
  }), { name: 'once' })
  await started
  await Promise.all([app.close(), app.cancelTask('once'), app.close(), app.close()])
  t.equal(aborted, 1)
  t.equal(task.state, 'cancelled')
  await app.close()
})

t.test('close() while a request waits for a task ends both', async (t) => {
  const app = await appWithTasks(t)
  app.get('/', async () => await app.addTask(untilAborted, { name: 'awaited' }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const started = once(app.tasks, 'start')
  // Fastify's own close waits for a client that keeps its connection.
  const answer = fetch(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`, { headers: { connection: 'close' } })
  await started
  await app.close()
  t.equal((await answer).status, 503)
  t.equal(app.getTask('awaited')!.state, 'cancelled')
})

t.test('close() cancels the tasks while an idle client is connected', async (t) => {
  const app = await appWithTasks(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => client.destroy())
  await once(app.server, 'connection')
  const task = app.addTask(untilAborted)
  await once(app.tasks, 'start')
  const closing = app.close()
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', cause: { code: 'FST_ERR_TASKS_CLOSED' } })
  // Node before 26.4 waits for such a client.
  client.destroy()
  await closing
})
