import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Fastify from 'fastify'
import t from 'tap'
import fastifyTasks from '../index'
import { comeAndGo } from './long/soak/every-kind'

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

/** Collects until `enough`: the last batch's timers, and what V8 compiles in the background, hold what they use a little longer. */
async function collect (enough: () => boolean): Promise<void> {
  for (let turns = 0; turns < 100; turns++) {
    await new Promise(resolve => setImmediate(resolve))
    gc()
    if (enough()) break
  }
}

function handles (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const handle of process.getActiveResourcesInfo()) counts[handle] = (counts[handle] ?? 0) + 1
  return counts
}

t.test('fifty thousand tasks of every kind come and go, and nothing of them is left', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyTasks)
  await app.ready()
  const counts = { start: 0, progress: 0, end: 0 }
  for (const event of ['start', 'progress', 'end'] as const) app.tasks.on(event, () => { counts[event]++ })
  const outer = new AbortController()

  await comeAndGo(app, 10_000, outer.signal)
  const before = handles()
  gc()
  const { heapUsed } = process.memoryUsage()
  const growth = (): number => process.memoryUsage().heapUsed - heapUsed
  await comeAndGo(app, 50_000, outer.signal)
  await collect(() => growth() < 5 * 2 ** 20)

  t.equal(app.tasks.size, 0)
  t.equal(getEventListeners(outer.signal, 'abort').length, 0)
  // What was open before, for this test or for what runs it, may have been closed since.
  t.same(Object.entries(handles()).filter(([kind, count]) => count > (before[kind] ?? 0)), [])
  t.ok(counts.end > 60_000, 'each has told of its end')
  // Half a kilobyte for each, if they were held: 25 MB.
  t.ok(growth() < 5 * 2 ** 20, `the heap has grown by ${growth()} bytes`)
})

t.test('a task that has ended and was forgotten is not held by its outer signal, its lease or its listeners', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyTasks)
  await app.ready()
  app.tasks.on('end', () => {})
  const outer = new AbortController()
  const refs = await (async () => {
    const tasks = Array.from({ length: 20 }, (_, n) => app.addTask(async (_app, task) => { task.updateProgress(n) }, {
      name: `task:${n}`, ttl: 60_000, signal: outer.signal
    }))
    await Promise.all(tasks)
    app.purgeTasks()
    return tasks.map((task) => new WeakRef(task))
  })()
  const held = (): number => refs.filter((ref) => ref.deref() !== undefined).length
  await collect(() => held() === 0)
  t.equal(held(), 0)
  t.notOk(outer.signal.aborted)
})
