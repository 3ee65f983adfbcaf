import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Task } from '../index'
import { comeAndGo, defineGroups } from './long/soak/every-kind'
import { readyApp } from './fixtures/app'

t.setTimeout(240_000)
setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

function handles (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const handle of process.getActiveResourcesInfo()) counts[handle] = (counts[handle] ?? 0) + 1
  return counts
}

/** How many of them are not collected, once they are few. */
async function held (refs: Array<WeakRef<object>>, few = 0): Promise<number> {
  const left = (): number => refs.filter((ref) => ref.deref() !== undefined).length
  // More than once: what V8 compiles in the background it holds itself until that is done.
  for (let turns = 0; turns < 100 && left() > few; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  return left()
}

t.test('tasks of every kind, fifty thousand a round, leave nothing behind', async (t) => {
  const app = await readyApp(t)
  defineGroups(app)
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
  const app = await readyApp(t)
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

for (const [title, expected, end] of [
  ['has completed', undefined, async (task: Task) => { await task }],
  ['has timed out', 'FST_ERR_TASK_TIMEOUT', async (task: Task) => { await Promise.resolve(task).catch(() => {}) }],
  ['has failed at once', 'its own', async (task: Task) => { while (task.endedAt === undefined) await nextTurn() }],
  ['has failed', 'its own', async (task: Task) => { await Promise.resolve(task).catch(() => {}) }],
  ['was cancelled while it ran', 'FST_ERR_TASK_CANCELLED', async (task: Task) => { while (task.startedAt === undefined) await nextTurn(); await task[Symbol.asyncDispose]() }],
  ['was cancelled before its start', 'FST_ERR_TASK_CANCELLED', async (task: Task) => { task.cancel(); await nextTurn() }]
] as const) {
  t.test(`a kept task that ${title} holds its outcome alone: no signal, function, promise, logger or async context of its caller`, async (t) => {
    const app = await readyApp(t, { cancelTimeout: 1_000 }, { logger: { level: 'fatal' } })
    app.defineTaskGroup('limited', { concurrency: 3 })
    const storage = new AsyncLocalStorage<object>()
    const refs: Array<WeakRef<object>> = []
    const pin = <T extends object>(value: T): T => {
      refs.push(new WeakRef(value))
      return value
    }
    await Promise.all(Array.from({ length: 20 }, (_, n) => storage.run(pin({ n }), async () => {
      const { signal } = pin(new AbortController())
      const atOnce = (): never => { throw new Error('its own') }
      const later = async (_app: unknown, task: Task) => {
        const large = pin({ large: n })
        const aborted = new Promise<void>((resolve) => {
          task.signal.addEventListener('abort', () => { if (large.large === n) resolve() })
        })
        if (title === 'has failed') throw new Error('its own')
        if (title === 'was cancelled while it ran' || title === 'has timed out') await aborted
      }
      const work = pin(title === 'has failed at once' ? atOnce : later)
      const task = app.addTask(work, {
        name: `kept:${n}`, signal: pin(signal), ttl: 60_000, timeout: title === 'has timed out' ? 5 : 60_000, group: n % 2 === 0 ? 'limited' : 'free', log: pin(app.log.child({}))
      })
      if (title !== 'has failed at once') task.then(() => {}, () => {})
      pin(task.signal)
      await end(task)
    })))
    t.equal(app.getTasks({ prefix: 'kept:' }).filter(({ endedAt }) => endedAt !== undefined).length, 20)
    for (const task of app.tasks) t.equal((task.error as { code?: string } | undefined)?.code ?? (task.error as Error | undefined)?.message, expected)
    // Each kind of thing is there twenty times. The engine itself may hold on to the last one or two that it has run.
    const left = await held(refs, 9)
    t.ok(left < 10, `${left} are held`)
  })
}

t.test('a task that runs does not hold the function that it began with', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 1 })
  const refs = Array.from({ length: 20 }, () => {
    const work = (): Promise<void> => new Promise(() => {})
    app.addTask(work)
    return new WeakRef(work)
  })
  t.equal(await held(refs), 0)
  t.same(Array.from(app.tasks, ({ state }) => state), refs.map(() => 'running'))
})
