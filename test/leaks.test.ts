import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Fastify from 'fastify'
import t from 'tap'
import fastifyTasks from '../index'
import { comeAndGo } from './long/soak/every-kind'

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

function handles (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const handle of process.getActiveResourcesInfo()) counts[handle] = (counts[handle] ?? 0) + 1
  return counts
}

/** How many of them are not collected. */
async function held (refs: Array<WeakRef<object>>): Promise<number> {
  const left = (): number => refs.filter((ref) => ref.deref() !== undefined).length
  // More than once: what V8 compiles in the background it holds itself until that is done.
  for (let turns = 0; turns < 100 && left() > 0; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  return left()
}

t.test('tasks of every kind come and go, fifty thousand a round, and nothing of them is left', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyTasks)
  await app.ready()
  const counts = { start: 0, progress: 0, end: 0 }
  for (const event of ['start', 'progress', 'end'] as const) app.tasks.on(event, () => { counts[event]++ })
  const outer = new AbortController()

  const heapAfter = async (tasks: number): Promise<number> => {
    await comeAndGo(app, tasks, outer.signal)
    gc()
    return process.memoryUsage().heapUsed
  }

  let heap = await heapAfter(10_000)
  const before = handles()
  const growths: number[] = []
  // More than once: a leak is there each time, what the runner and V8 keep of the sources they compile meanwhile is not.
  for (let round = 0; round < 3; round++) {
    const now = await heapAfter(50_000)
    growths.push(now - heap)
    heap = now
  }

  t.equal(app.tasks.size, 0)
  t.equal(getEventListeners(outer.signal, 'abort').length, 0)
  // What was open before, for this test or for what runs it, may have been closed since.
  t.same(Object.entries(handles()).filter(([kind, count]) => count > (before[kind] ?? 0)), [])
  t.ok(counts.end > 60_000, 'each has told of its end')
  // Half a kilobyte for each, if they were held: 25 MB a round.
  t.ok(Math.min(...growths) < 5 * 2 ** 20, `the heap has grown by ${growths.join(', ')} bytes`)
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
  t.equal(await held(refs), 0)
  t.notOk(outer.signal.aborted)
})

t.test('a task that runs does not hold the function that it began with', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyTasks, { cancelTimeout: 1 })
  await app.ready()
  const refs = Array.from({ length: 20 }, () => {
    const work = (): Promise<void> => new Promise(() => {})
    app.addTask(work)
    return new WeakRef(work)
  })
  t.equal(await held(refs), 0)
  t.same(Array.from(app.tasks, ({ state }) => state), refs.map(() => 'running'))
})
