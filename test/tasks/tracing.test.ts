import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { runChannel } from '../../lib/tasks/tracing'
import { ended, readyApp } from '../fixtures/app'

t.test('each run is traced while somebody listens, with its task', async (t) => {
  const app = await readyApp(t)
  const seen: string[] = []
  const note = (event: string) => ({ task }: { task: { name: string } }) => { seen.push(`${event} ${task.name}`) }
  const subscribers = {
    start: note('start'), end: note('end'), asyncStart: note('asyncStart'), asyncEnd: note('asyncEnd'), error: note('error')
  }
  runChannel.subscribe(subscribers)
  await app.addTask(async () => 1, { name: 'a' })
  await ended(app.addTask(async () => { throw new Error('no') }, { name: 'b' }))
  await ended(app.addTask(() => { throw new Error('sync') }, { name: 'c' }))
  runChannel.unsubscribe(subscribers)
  await app.addTask(async () => 1, { name: 'd' })
  t.same(seen, [
    'start a', 'end a', 'asyncStart a', 'asyncEnd a',
    'start b', 'end b', 'error b', 'asyncStart b', 'asyncEnd b',
    'start c', 'error c', 'end c'
  ])
  t.equal(app.getTask('c')?.state, 'failed')
})

t.test('the channel is found by its name', async (t) => {
  t.ok(diagnostics.channel('tracing:fastify-tasks.run:start') === runChannel.start)
})

t.test('the then of a lazy thenable is called once, traced or not, and a function that returns no promise has an asyncEnd', async (t) => {
  const app = await readyApp(t)
  const ends: unknown[] = []
  const subscribers = { asyncEnd: ({ result }: { result?: unknown }) => { ends.push(result) } }
  for (const traced of [false, true]) {
    if (traced) runChannel.subscribe(subscribers as any)
    let queries = 0
    const query = { then (resolve: (rows: number) => void) { queries++; resolve(1) } } as unknown as PromiseLike<number>
    t.equal(await app.addTask(() => query), 1)
    t.equal(await app.addTask(query), 1)
    t.equal(queries, 2)
    t.equal(await app.addTask(() => 'at once'), 'at once')
    await app.addTask(() => {})
  }
  runChannel.unsubscribe(subscribers as any)
  t.same(ends, [1, 'at once', undefined])
})

t.test('runs are traced though the tracing channel has no hasSubscribers, as on Bun', async (t) => {
  const app = await readyApp(t)
  Object.defineProperty(runChannel, 'hasSubscribers', { value: undefined, configurable: true })
  t.teardown(() => { delete (runChannel as { hasSubscribers?: unknown }).hasSubscribers })
  for (const event of ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const) {
    let calls = 0
    const count = (): void => { calls++ }
    runChannel[event].subscribe(count)
    await ended(app.addTask(async () => { if (event === 'error') throw new Error('no') }))
    runChannel[event].unsubscribe(count)
    t.equal(calls, 1, event)
  }
})

t.test('a store bound to the start of a run is available in the function', async (t) => {
  const app = await readyApp(t)
  const storage = new AsyncLocalStorage<string>()
  runChannel.start.bindStore(storage, ({ task }) => task.name)
  const task = app.addTask(async () => {
    await nextTurn()
    return storage.getStore()
  }, { name: 'a' })
  t.equal(await task, 'a')
  runChannel.start.unbindStore(storage)
})
