/** What tasks cost, as far as it can be counted: benchmarks/ has what only a clock can tell. */
import { createHook } from 'node:async_hooks'
import { EventEmitter, getEventListeners, once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext, runInThisContext } from 'node:vm'
import mqemitter from 'mqemitter'
import t from 'tap'
import { Task } from '../lib/tasks/task'
import { runChannel } from '../lib/tasks/tracing'
import { ignoresSignal, ended, readyApp, started } from './fixtures/app'

const COUNT = 100

const STEPS: PropertyKey[] = ['get', 'set', 'has', 'delete']
const WALKS: PropertyKey[] = ['forEach', 'keys', 'values', 'entries', Symbol.iterator]

function timers (): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
}

/**
 * Counts the calls of methods until the returned function is called, which tells how many they were.
 * `weigh` says what a call on a certain object counts for.
 */
function countCalls (target: object, methods: PropertyKey[], weigh = (_of: any, _method: PropertyKey): number => 1): () => number {
  let calls = 0
  const originals = methods.map((method) => Object.getOwnPropertyDescriptor(target, method)!)
  methods.forEach((method, i) => Object.defineProperty(target, method, {
    ...originals[i],
    value (...args: unknown[]) {
      calls += weigh(this, method)
      return originals[i].value.apply(this, args)
    }
  }))
  return () => {
    methods.forEach((method, i) => Object.defineProperty(target, method, originals[i]))
    return calls
  }
}

/** How many of a kind of asynchronous resource are made meanwhile. */
async function resources (type: string, work: () => unknown): Promise<number> {
  let made = 0
  const hook = createHook({ init: (_id, kind) => { if (kind === type) made++ } }).enable()
  try {
    await work()
  } finally {
    hook.disable()
  }
  return made
}

t.test('a task without a lease uses no timer', async (t) => {
  const app = await readyApp(t)
  const before = timers()
  const tasks = Array.from({ length: COUNT }, () => app.addTask(ignoresSignal))
  await started(tasks[COUNT - 1])
  t.equal(timers(), before)
})

t.test('tasks that stop within the turn of their cancel use no timer', async (t) => {
  const app = await readyApp(t)
  const tasks = Array.from({ length: COUNT }, () => app.addTask((_, { signal }) => once(signal, 'abort')))
  await started(tasks[COUNT - 1])
  const outcomes: boolean[] = []
  const made = await resources('Timeout', async () => outcomes.push(...await Promise.all(tasks.map(({ name }) => app.cancelTask(name)))))
  t.same(outcomes, tasks.map(() => true))
  t.equal(made, 0)
})

t.test('a close of tasks that stop within the turn of their cancel uses no timer for them', async (t) => {
  const made: number[] = []
  for (const count of [0, COUNT]) {
    const app = await readyApp(t)
    const tasks = Array.from({ length: count }, () => app.addTask((_, { signal }) => once(signal, 'abort')))
    if (count > 0) await started(tasks[count - 1])
    made.push(await resources('Timeout', () => app.close()))
  }
  t.equal(made[1], made[0])
})

t.test('leases of one ttl share one timer, and leave none behind', async (t) => {
  const app = await readyApp(t)
  const before = timers()
  let finish = (): void => {}
  const done = new Promise<void>((resolve) => { finish = resolve })
  const tasks = Array.from({ length: COUNT }, () => app.addTask(() => done, { ttl: 60_000 }))
  await started(tasks[COUNT - 1])
  t.equal(timers(), before + 1)
  finish()
  await ended(tasks[COUNT - 1])
  t.equal(timers(), before)
})

t.test('the lease of a cancelled task uses no timer, though the task runs on', async (t) => {
  const app = await readyApp(t)
  const before = timers()
  const task = app.addTask(ignoresSignal, { ttl: 60_000 })
  await started(task)
  task.cancel()
  t.equal(task.state, 'cancelling')
  t.equal(timers(), before)
})

t.test('tasks that share an outer signal put one listener on it, and take it off', async (t) => {
  const app = await readyApp(t)
  const { signal } = new AbortController()
  let finish = (): void => {}
  const done = new Promise<void>((resolve) => { finish = resolve })
  const tasks = Array.from({ length: COUNT }, () => app.addTask(() => done, { signal }))
  await started(tasks[COUNT - 1])
  t.equal(getEventListeners(signal, 'abort').length, 1)
  finish()
  await ended(tasks[COUNT - 1])
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('with an emitter, a task sends nothing while no process listens', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await readyApp(t, { emitter }), await readyApp(t, { emitter })]
  // The beats of the processes, once a second.
  let sent = 0
  const emit = emitter.emit
  emitter.emit = function (message, done) {
    if (!message.payload.startsWith('{"kind":"beat"')) sent++
    return emit.call(this, message, done)
  }
  const snapshots = countCalls(Task.prototype, ['toJSON'])
  const made = await resources('Timeout', async () => {
    const tasks = Array.from({ length: COUNT }, (_, i) => a.addTask(async (_app, task) => task.updateProgress(1), { name: `x${i}` }))
    await Promise.all(tasks.map(ended))
  })
  t.equal(sent, 0)
  t.equal(made, 0)
  t.equal(snapshots(), 0)
  for (const app of [a, b]) for (const event of ['start', 'progress', 'end'] as const) t.equal(app.tasks.listenerCount(event), 0)
})

t.test('a signal is created only when it is read, and once', async (t) => {
  const app = await readyApp(t)
  const { AbortController } = globalThis
  let made = 0
  t.teardown(() => { globalThis.AbortController = AbortController })
  globalThis.AbortController = class extends AbortController {
    constructor () {
      super()
      made++
    }
  }
  await app.addTask(async () => {})
  t.equal(made, 0)
  await app.addTask(async (_app, task) => [task.signal, task.signal])
  t.equal(made, 1)
})

t.test('unused optional fields are not allocated', async (t) => {
  const app = await readyApp(t)
  const plain = app.addTask(async () => {}, { name: 'plain' }) as Task
  const asked = app.addTask(async (_app, { signal }) => signal.aborted, { name: 'asked', group: 'a', ttl: 60_000 }) as Task
  await started(plain)
  t.equal(Task.peek(plain), undefined)
  t.not(Task.peek(asked), undefined)
  t.same(Reflect.ownKeys(plain), [])
  await Promise.all([ended(plain), ended(asked)])
})

t.test('an ended task keeps its group, reason and progress, and no room for what it never had', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5_000 })
  const kept = (task: object): object | undefined => Task.peek(task as Task)
  const { signal } = new AbortController()
  const used = app.addTask(async (_app, task) => [task.signal, task.log], { name: 'used', ttl: 60_000, timeout: 60_000, log: app.log, signal })
  const grouped = app.addTask(async () => {}, { name: 'grouped', group: 'a' })
  const reporting = app.addTask(async (_app, task) => task.updateProgress(1), { name: 'reporting' })
  const cancelled = app.addTask(async () => {}, { name: 'cancelled' })
  cancelled.cancel('why')
  const unreasoned = app.addTask(async () => {}, { name: 'unreasoned' })
  unreasoned.cancel()
  await Promise.all([used, grouped, reporting, cancelled].map(ended))
  for (const task of [used, unreasoned]) t.equal(kept(task), undefined)
  t.same([grouped, reporting, cancelled].map((task) => Object.keys(kept(task)!)), [['member'], ['progress'], ['reason']])

  const all = app.addTask(async (_app, task) => {
    task.updateProgress(1)
    task.log.info('a line')
    await once(task.signal, 'abort')
    for (let i = 0; i < 3; i++) await nextTurn()
  }, { name: 'all', group: 'a', ttl: 60_000, timeout: 60_000, log: app.log, signal })
  await started(all)
  t.ok(await app.cancelTask('all', 'why'))
  t.same(Object.entries(kept(all)!).filter(([, value]) => value !== undefined).map(([name]) => name).sort(), ['member', 'progress', 'reason'])
})

t.test('a task that nobody awaits makes no promise but the one that follows its own', async (t) => {
  const app = await readyApp(t)
  const work = async (): Promise<void> => {}
  const waiting = await resources('PROMISE', async () => { for (let i = 0; i < 3; i++) await nextTurn() })
  const made = await resources('PROMISE', async () => {
    for (let i = 0; i < COUNT; i++) app.addTask(work)
    for (let i = 0; i < 3; i++) await nextTurn()
  })
  t.equal(app.tasks.size, 0)
  // Rounded: on a busy machine the runner makes a few more.
  t.equal(Math.round((made - waiting) / COUNT), 2)
})

t.test('the first await of a pending task makes one promise, and each its own', async (t) => {
  const app = await readyApp(t)
  const tasks = Array.from({ length: COUNT }, () => app.addTask(async () => {}))
  const counting = await resources('PROMISE', () => {})
  const made = await resources('PROMISE', () => { for (const task of tasks) task.then(() => {}) })
  t.equal(made - counting, 2 * COUNT)
  await Promise.all(tasks)
})

t.test('a cancel that is waited for makes one promise', async (t) => {
  const app = await readyApp(t)
  const tasks = Array.from({ length: COUNT }, () => app.addTask(async () => {}))
  const outcomes: Array<Promise<boolean>> = []
  const counting = await resources('PROMISE', () => {})
  const made = await resources('PROMISE', () => { for (const { name } of tasks) outcomes.push(app.cancelTask(name)) })
  // And one for all: they wait for the same immediate.
  t.equal(made - counting, COUNT + 1)
  t.same(await Promise.all(outcomes), tasks.map(() => true))
})

t.test('code for tasks stays optimised through garbage collections that find no task alive', async (t) => {
  const app = await readyApp(t)
  setFlagsFromString('--expose-gc')
  setFlagsFromString('--allow-natives-syntax')
  const collectGarbage: () => void = runInNewContext('gc')
  const prepare: (code: unknown) => void = runInThisContext('(code) => %PrepareFunctionForOptimization(code)')
  const optimize: (code: unknown) => void = runInThisContext('(code) => %OptimizeFunctionOnNextCall(code)')
  const isOptimized: (code: unknown) => boolean = runInThisContext('(code) => %ActiveTierIsTurbofan(code)')
  // What reads a field of a task: optimised, it holds for one hidden class.
  const read = Task.stateOf
  prepare(read)
  await app.addTask(() => {})
  optimize(read)
  await app.addTask(() => {})
  t.ok(isOptimized(read))
  // V8 keeps a hidden class that nothing has for a few collections.
  for (let i = 0; i < 5; i++) {
    await nextTurn()
    collectGarbage()
  }
  t.ok(isOptimized(read))
})

t.test('a run that nobody traces and an event that nobody listens to are not published', async (t) => {
  const app = await readyApp(t)
  const traced = countCalls(Object.getPrototypeOf(runChannel.start), ['runStores'])
  const heard = countCalls(EventEmitter.prototype, ['rawListeners'], (emitter) => emitter === app.tasks ? 1 : 0)
  await app.addTask(async (_app, task) => task.updateProgress(1))
  t.equal(traced(), 0)
  t.equal(heard(), 0)
})

t.test('a task reads the clock when it is added, starts and ends', async (t) => {
  const app = await readyApp(t)
  const clockReads = countCalls(Date, ['now'])
  const task = app.addTask(async () => {})
  await ended(task)
  t.equal(clockReads(), 3)
})

t.test('a heartbeat reads no clock and starts no timer', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(ignoresSignal, { ttl: 60_000 })
  await started(task)
  const reads = [countCalls(Date, ['now']), countCalls(Object.getPrototypeOf(performance), ['now'])]
  const made = await resources('Timeout', () => { for (let i = 0; i < COUNT; i++) task.heartbeat() })
  t.same(reads.map((count) => count()), [0, 0])
  t.equal(made, 0)
})

t.test('adding, ending, finding and purging take the same steps beside one live task and beside a thousand', async (t) => {
  const steps: number[] = []
  for (const live of [1, 1000]) {
    const app = await readyApp(t)
    for (let i = 0; i < live; i++) app.addTask(ignoresSignal, { name: `live:${i}` })
    await started(app.getTask(`live:${live - 1}`)!)
    // Whoever walks the tasks is taken to walk them all. Only the map that holds them counts: the test's runner has maps, too.
    const { has } = Map.prototype
    const stepsOfMap = countCalls(Map.prototype, [...STEPS, ...WALKS], (map, method) => {
      if (!has.call(map, 'live:0')) return 0
      return WALKS.includes(method) ? map.size : 1
    })
    const task = app.addTask(async () => {}, { name: 'closed' })
    await ended(task)
    app.getTask('closed')
    t.equal(app.purgeTasks(), 1)
    steps.push(stepsOfMap())
  }
  t.equal(steps[0], steps[1])
  t.ok(steps[0] > 0)
})
