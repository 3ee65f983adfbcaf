import { spawnSync } from 'node:child_process'
import { inspect } from 'node:util'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Task } from '../../index'
import { env } from '../fixtures/child'
import { appWithTasks, ignoresSignal, ended, logged, readyApp, started, untilAborted } from '../fixtures/app'

t.test('a task goes from pending through running to completed, with its times and its result', async (t) => {
  const app = await readyApp(t)
  const before = Date.now()
  let seen
  const task = app.addTask(async (_app, task) => {
    seen = task.state
    return 42
  }, { name: 'a' })
  t.equal(task.state, 'pending')
  t.equal(task.startedAt, undefined)
  t.equal(task.endedAt, undefined)
  t.equal(task.result, undefined)
  t.equal(await task, 42)
  t.equal(seen, 'running')
  t.equal(task.state, 'completed')
  t.equal(task.result, 42)
  t.equal(task.error, undefined)
  t.ok(before <= task.createdAt && task.createdAt <= task.startedAt! && task.startedAt! <= task.endedAt! && task.endedAt! <= Date.now())
})

t.test('a task that completes logs nothing, and its result is not looked into', async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  const before = lines.length
  const result = { get stack () { return t.fail('the stack was read') }, get cause () { return t.fail('the cause was read') } }
  await ended(app.addTask(() => result))
  t.same(lines.slice(before), [])
})

t.test('a heartbeat of a task without a lease tells whether it runs', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { group: 'a' })
  t.equal(task.heartbeat(), true)
  task.cancel()
  t.equal(task.heartbeat(), false)
})

t.test('a promise that is awaited before the app is ready is not reported: it runs', async (t) => {
  const { lines, logger } = logged('warn')
  const app = await appWithTasks(t, {}, { logger })
  t.equal(await app.addTask(nextTurn(1).then(() => nextTurn(2))), 2)
  t.same(lines, [])
})

t.test('the function gets the instance and the task, and the instance as this', async (t) => {
  const app = await readyApp(t)
  let args: unknown[] = []
  const task = app.addTask(function (...all) { args = [this, ...all] })
  await task
  t.ok(args[0] === app && args[1] === app && args[2] === task)
})

t.test('every await of a task gets its result, before and after its end', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => ({ a: 1 }))
  const [first, second] = await Promise.all([task, task])
  t.equal(first, second)
  t.equal(await task, first)
})

t.test('an async function that returns a task resolves to its result', async (t) => {
  const app = await readyApp(t)
  const add = async (): Promise<string> => app.addTask(async () => 'the result')
  t.equal(await add(), 'the result')
})

const hostile = { get name (): never { throw new Error('poisoned') }, get message (): never { throw new Error('poisoned') }, get code (): never { throw new Error('poisoned') } }

for (const [title, value] of [
  ['undefined', undefined], ['null', null], ['0', 0], ['an empty string', ''], ['false', false], ['a symbol', Symbol('s')],
  ['an object without a prototype', Object.create(null)], ['an error with poisoned getters', hostile], ['a function', () => 1]
] as const) {
  for (const [way, work] of [
    ['thrown', () => { throw value }],
    ['rejected with', async () => { throw value }],
    ['thrown by a thenable', () => ({ then () { throw value } })]
  ] as const) {
    t.test(`${title} that is ${way} makes the task fail with just that`, async (t) => {
      const app = await readyApp(t)
      const task = app.addTask(work as () => Promise<unknown>, { name: 'a' })
      const outcome = await Promise.resolve(task).then(() => t.fail('it did not fail'), (error) => ({ error })) as { error: unknown }
      t.equal(outcome.error, value)
      t.equal(task.state, 'failed')
      t.equal(task.error, value)
      t.type(task.toJSON().error?.message, 'string')
      t.doesNotThrow(() => JSON.stringify(task))
    })
    t.test(`${title} that is ${way} after a cancel makes the task fail`, async (t) => {
      const app = await readyApp(t)
      const task = app.addTask(async (_app, task) => {
        await nextTurn()
        task.cancel('stop')
        return await (work() as Promise<unknown>)
      }, { name: 'a' })
      await ended(task)
      t.equal(task.state, 'failed')
    })
  }
}

t.test('a thenable that settles twice or throws afterwards settles the task once', async (t) => {
  const app = await readyApp(t)
  let ends = 0
  app.tasks.on('end', () => { ends++ })
  const task = app.addTask(() => ({
    then (resolve: (value: number) => void, reject: (error: Error) => void) {
      resolve(1)
      reject(new Error('later'))
      throw new Error('even later')
    }
  }) as PromiseLike<number>)
  t.equal(await task, 1)
  await nextTurn()
  t.equal(ends, 1)
})

t.test('a then that throws makes the task fail', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => ({ get then (): never { throw new Error('poisoned') } }))
  await t.rejects(Promise.resolve(task), { message: 'poisoned' })
})

t.test('a function that returns its own task fails instead of waiting for itself', async (t) => {
  const app = await readyApp(t)
  const task: Task = app.addTask((_app, task) => task)
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_SELF_RESULT' })
})

t.test('a function may return another task', async (t) => {
  const app = await readyApp(t)
  t.equal(await app.addTask(() => app.addTask(() => 5)), 5)
})

t.test('the signal aborts once, with the reason of the first cancel', async (t) => {
  const app = await readyApp(t)
  let aborts = 0
  const task = app.addTask((_app, task) => {
    task.signal.addEventListener('abort', () => { aborts++ })
    return untilAborted(_app, task)
  })
  await started(task)
  t.equal(task.cancel('first'), true)
  t.equal(task.state, 'cancelling')
  t.equal(task.cancel('second'), false)
  await t.rejects(Promise.resolve(task), { code: 'FST_ERR_TASK_CANCELLED', name: 'AbortError', cause: 'first' })
  t.equal(task.signal.reason, 'first')
  t.equal(aborts, 1)
  t.equal(task.state, 'cancelled')
  t.equal(task.result, undefined)
  t.equal(task.error, task.error)
})

t.test('a signal read only after the cancel has aborted, with the reason', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(ignoresSignal)
  task.cancel('why')
  t.ok(task.signal.aborted)
  t.equal(task.signal.reason, 'why')
})

for (const [title, work, state] of [
  ['returns', async ({ signal }: Task) => { while (!signal.aborted) await nextTurn() }, 'cancelled'],
  ['throws the reason', async ({ signal }: Task) => { while (true) { await nextTurn(); signal.throwIfAborted() } }, 'cancelled'],
  ['throws an AbortError', async ({ signal }: Task) => { while (!signal.aborted) await nextTurn(); throw new DOMException('x', 'AbortError') }, 'cancelled'],
  ['throws anything else', async ({ signal }: Task) => { while (!signal.aborted) await nextTurn(); throw new Error('clean-up failed') }, 'failed']
] as const) {
  t.test(`a cancelled task that ${title} ends as ${state}`, async (t) => {
    const app = await readyApp(t)
    const task = app.addTask((_app, task) => work(task), { name: 'a' })
    await started(task)
    t.equal(await app.cancelTask('a', new Error('why')), true)
    t.equal(task.state, state)
  })
}

t.test('a cancelled task that throws a NaN reason ends as cancelled', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted)
  await started(task)
  task.cancel(NaN)
  await ended(task)
  t.equal(task.state, 'cancelled')
})

t.test('an AbortError without a cancel is a failure', async (t) => {
  const app = await readyApp(t)
  const error = new DOMException('not ours', 'AbortError')
  const task = app.addTask(() => { throw error })
  await t.rejects(Promise.resolve(task), { message: 'not ours' })
  t.equal(task.state, 'failed')
})

t.test('a cancel waits for the finally blocks', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5_000 })
  let cleaned = false
  const task = app.addTask(async (app, task) => {
    try {
      await untilAborted(app, task)
    } finally {
      for (let i = 0; i < 5; i++) await nextTurn()
      cleaned = true
    }
  }, { name: 'a' })
  await started(task)
  t.equal(await app.cancelTask('a'), true)
  t.ok(cleaned)
})

t.test('a heartbeat is refused once the task is being cancelled or has ended', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(ignoresSignal)
  t.equal(task.heartbeat(), true)
  await started(task)
  t.equal(task.heartbeat(), true)
  task.cancel()
  t.equal(task.heartbeat(), false)
  const done = app.addTask(() => 1)
  await done
  t.equal(done.heartbeat(), false)
})

t.test('progress is a copy, is emitted, and is kept when the task has ended', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => 1, { name: 'a' })
  const value = { done: 1 }
  task.updateProgress(value)
  value.done = 2
  t.same(task.progress, { done: 1 })
  await task
  task.updateProgress(100)
  t.same(task.progress, { done: 1 })
  t.throws(() => task.updateProgress(101), { code: 'FST_ERR_TASK_INVALID_ARGUMENT' })
})

t.test('a snapshot shows the state, the times, the progress and the lease, never the result', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(async (_app, task) => { task.updateProgress(50); return 'secret' }, { name: 'a', ttl: 1000 })
  t.same(JSON.parse(JSON.stringify(task)), { name: 'a', state: 'pending', createdAt: task.createdAt, lease: { ttl: 1000, remaining: 1000 } })
  await task
  t.same(JSON.parse(JSON.stringify(task)), {
    name: 'a', state: 'completed', createdAt: task.createdAt, startedAt: task.startedAt, endedAt: task.endedAt, progress: 50
  })
  t.equal(inspect(task), inspect(task.toJSON()))
  t.notMatch(inspect(task), /secret/)
})

t.test('a snapshot shows the lease as long as a heartbeat can renew it', async (t) => {
  const app = await readyApp(t)
  let stop = (): void => {}
  const task = app.addTask(() => new Promise<void>((resolve) => { stop = resolve }), { name: 'a', ttl: 60_000 })
  const atEnd = new Promise((resolve) => app.tasks.once('end', (task) => resolve(task.toJSON())))
  await started(task)
  t.equal(task.toJSON().lease?.ttl, 60_000)
  task.cancel()
  t.same([task.heartbeat(), task.toJSON().lease], [false, undefined])
  stop()
  t.match(await atEnd, { state: 'cancelled', lease: undefined })
})

t.test("a snapshot shows an error's code and message alone", async (t) => {
  const app = await readyApp(t)
  const failed = app.addTask(() => { throw Object.assign(new Error('broken'), { code: 'E_BROKEN', secret: 1 }) })
  await ended(failed)
  t.same(failed.toJSON().error, { code: 'E_BROKEN', message: 'broken' })
  const odd = app.addTask(() => { throw { code: 1, message: 2 } }) // eslint-disable-line no-throw-literal -- hostile
  await ended(odd)
  t.same(odd.toJSON().error, { code: undefined, message: '[object Object]' })
  const cancelled = app.addTask(ignoresSignal)
  cancelled.cancel()
  t.same(cancelled.toJSON().error, { code: 'FST_ERR_TASK_CANCELLED', message: `Task '${cancelled.name}' was cancelled` })
})

t.test('an unawaited failure is logged once at error, with the name and the error', async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  await ended(app.addTask(async () => { throw new Error('broken') }, { name: 'a' }))
  const errorLines = lines.filter(({ level }) => level >= 50)
  t.same(errorLines.map(({ task, msg, err }) => [task, msg, err?.message]), [['a', 'Task failed: a', 'broken']])
})

t.test('an awaited failure is not logged', async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  await t.rejects(Promise.resolve(app.addTask(async () => { throw new Error('broken') })), { message: 'broken' })
  t.same(lines.filter(({ level }) => level >= 50), [])
})

t.test('a cancel is logged at debug', async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  app.addTask(ignoresSignal, { name: 'a' }).cancel('why')
  t.same(lines.filter(({ task }) => task === 'a').map(({ level, msg }) => [level, msg]), [[20, 'Task cancelled']])
})

t.test("a task's own logger carries its name", async (t) => {
  const { lines, logger } = logged()
  const app = await readyApp(t, {}, { logger })
  await app.addTask((_app, task) => { task.log.info('one'); task.log.info('two') }, { name: 'a' })
  t.same(lines.filter(({ task }) => task === 'a').map(({ msg }) => msg), ['one', 'two'])
})

t.test('await using cancels the task on leaving the scope, and waits', async (t) => {
  const app = await readyApp(t)
  let task
  {
    await using scoped = app.addTask(untilAborted)
    task = scoped
    await started(scoped)
  }
  t.equal((task as Task).state, 'cancelled')
  await (task as Task)[Symbol.asyncDispose]()
  t.equal((task as Task).state, 'cancelled')
})

t.test('await using with a task that ignores its signal rejects after cancelTimeout', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 5 })
  const task = app.addTask(ignoresSignal)
  await started(task)
  await t.rejects(task[Symbol.asyncDispose](), { code: 'FST_ERR_TASK_CANCEL_TIMEOUT' })
})

t.test('a cancel in the turn in which the task ends changes nothing', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(() => 1, { name: 'a' })
  app.tasks.on('end', () => { t.equal(task.cancel(), false) })
  t.equal(await task, 1)
  t.equal(task.state, 'completed')
})

t.test('signal, logger and promise are created lazily', async (t) => {
  const app = await readyApp(t)
  const { AbortController } = globalThis
  let controllers = 0
  let loggers = 0
  let timers = 0
  const { setTimeout } = globalThis
  const { child } = app.log
  t.teardown(() => Object.assign(globalThis, { AbortController, setTimeout }))
  globalThis.AbortController = class extends AbortController { constructor () { super(); controllers++ } }
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => { timers++; return setTimeout(...args) }) as typeof setTimeout
  app.log.child = (...args: Parameters<typeof child>) => { loggers++; return child.apply(app.log, args) }
  const task = app.addTask(() => 1, { name: 'a' })
  await ended(task)
  t.same([controllers, loggers, timers], [0, 0, 0])
  t.equal(Reflect.get(task, 'promise'), undefined)
  for (let i = 0; i < 2; i++) t.ok(task.signal instanceof AbortSignal && task.log !== undefined)
  t.same([controllers, loggers, timers], [1, 1, 0], 'once')
})

t.test('a failure that the logger cannot serialize ends the task, and is still logged', async (t) => {
  const lines: any[] = []
  const logger = {
    stream: { write: (line: string) => { lines.push(JSON.parse(line)) } },
    serializers: { err: (error: Error) => ({ message: error.message, lines: error.stack!.split('\n').length }) as any }
  }
  const app = await readyApp(t, {}, { logger })
  for (const thrown of ['boom', null, undefined, 7, Symbol('s'), {}]) {
    const task = app.addTask(() => { throw thrown }, { name: 'a' })
    await ended(task)
    t.equal(task.error, thrown)
    app.addTask(() => 1, { name: 'a' }).cancel()
  }
  const failures = lines.filter(({ msg }) => msg.startsWith('Task failed'))
  t.same(failures.map(({ task, err }) => [task, err?.message]), ['boom', 'null', undefined, '7', 'Symbol(s)', '[object Object]'].map((text) => ['a', text]))
})

t.test('whatever a logger does, the task ends and its name is free', async (t) => {
  const texts: string[] = []
  const never = (): never => { throw new Error('no') }
  const log = { debug: never, child: never, error: (fields: { err?: unknown }, text: string) => { if ('err' in fields) never(); texts.push(text) } } as any
  const app = await readyApp(t)
  await ended(app.addTask(() => { throw new Error('boom') }, { name: 'a', log }))
  app.addTask(() => 1, { name: 'a', log }).cancel()
  const broken = { ...log, error: never }
  const task = app.addTask(() => { throw new Error('unheard') }, { name: 'a', log: broken })
  await ended(task)
  t.equal(task.state, 'failed')
  t.same(texts, ['Task failed: a: boom'])
})

t.test('a promise whose constructor getter throws fails its task, passed or returned', async (t) => {
  const app = await readyApp(t)
  const poisoned = (): Promise<number> => Object.defineProperty(Promise.resolve(1), 'constructor', { get () { throw new Error('poisoned') } })
  for (const task of [app.addTask(poisoned(), { name: 'a' }), app.addTask(poisoned)]) {
    await t.rejects(Promise.resolve(task), { message: 'poisoned' })
    t.equal(task.state, 'failed')
  }
  t.equal(app.tasks.live, 0)
  await app.addTask(() => 1, { name: 'a' })
})

t.test('a promise with a then of its own settles its task once, whatever that does, passed or returned', async (t) => {
  const app = await readyApp(t)
  const odd = (then: (onResult: (result: number) => void, onError: (error: Error) => void) => void) => (): Promise<number> => Object.assign(Promise.resolve(1), { then }) as Promise<number>
  for (const [make, expected] of [
    [odd(() => { throw new Error('odd') }), 'failed'],
    [odd((onResult) => { onResult(2); throw new Error('odd') }), 'completed'],
    [odd((onResult, onError) => { onResult(2); onResult(3); onError(new Error('odd')) }), 'completed'],
    [() => Object.defineProperty(Promise.resolve(1), 'then', { get () { throw new Error('odd') } }), 'failed']
  ] as const) {
    const tasks = [app.addTask(make), app.addTask(make, { name: 'returned' })]
    // Not a function whose promise is refused before: its `then` is looked at.
    if (expected === 'completed') tasks.push(app.addTask(make()))
    for (const task of tasks) {
      await Promise.resolve(task).catch(() => {})
      t.equal(task.state, expected)
      t.equal(task.result ?? (task.error as Error).message, expected === 'completed' ? 2 : 'odd')
    }
    app.purgeTasks()
  }
  const thrown = app.addTask(odd(() => { throw new Error('odd') })())
  await t.rejects(Promise.resolve(thrown), { message: 'odd' })
  t.equal(app.tasks.live, 0)
})

t.test('a promise whose constructor throws when it is read again fails its task', async (t) => {
  const app = await readyApp(t)
  const make = (): Promise<number> => {
    let reads = 0
    return Object.defineProperty(Promise.resolve(1), 'constructor', { get () { if (reads++ > 0) throw new Error('read again'); return Promise } })
  }
  for (const task of [app.addTask(make()), app.addTask(make)]) await t.rejects(Promise.resolve(task), { message: 'read again' })
  t.equal(app.tasks.live, 0)
})

t.test('work whose then getter throws is refused, and nothing is added', async (t) => {
  const app = await readyApp(t)
  t.throws(() => app.addTask({ get then (): never { throw new Error('poisoned') } } as any), { code: 'FST_ERR_TASK_INVALID_ARGUMENT' })
  t.throws(() => app.addTask(Object.defineProperty(Promise.resolve(), 'constructor', { get () { throw new Error('poisoned') } }), { ttl: 0 }), {
    code: 'FST_ERR_TASK_INVALID_OPTION'
  })
  t.equal(app.tasks.size, 0)
})

t.test('a snapshot has the reason of a cancel, if one was given', async (t) => {
  const app = await readyApp(t)
  const reasonOf = (...reason: unknown[]): unknown => {
    const task = app.addTask(ignoresSignal)
    task.signal.addEventListener('abort', () => {})
    task.cancel(...reason)
    return JSON.parse(JSON.stringify(task)).reason
  }
  t.same(reasonOf('why'), { message: 'why' })
  t.same(reasonOf(Object.assign(new Error('why'), { code: 'E_WHY' })), { code: 'E_WHY', message: 'why' })
  t.same(reasonOf(hostile), { message: 'An error that cannot be described' })
  t.equal(reasonOf(), undefined)
  const running = app.addTask(ignoresSignal)
  await started(running)
  running.cancel('why')
  t.same(running.toJSON().reason, { message: 'why' })
})

t.test('a task whose cancel reason has getters that throw still settles and can be serialized', async (t) => {
  const app = await readyApp(t)
  const reason = new Proxy({}, { get () { throw new Error('no look') } })
  const task = app.addTask(untilAborted, { name: 'a' })
  await started(task)
  const outcome = Promise.resolve(task).catch((error) => error)
  t.equal(await app.cancelTask('a', reason), true)
  t.equal((await outcome).code, 'FST_ERR_TASK_CANCELLED')
  t.equal((await outcome).cause === reason, true)
  t.same(task.toJSON().reason, { message: 'An error that cannot be described' })
})

t.test("a cancel without a reason gets Node's own, the same for the signal and the error", async (t) => {
  const app = await readyApp(t)
  for (const isAsked of [true, false]) {
    const task = app.addTask(ignoresSignal)
    const signal = isAsked ? task.signal : undefined
    task.cancel()
    const { cause } = task.error as Error
    t.match(cause, { name: 'AbortError' })
    t.equal(task.signal.reason, cause)
    if (signal !== undefined) t.equal(signal.reason, cause)
  }
  const undefinedThrown = app.addTask(async () => {
    await nextTurn()
    undefinedThrown.cancel()
    throw undefined // eslint-disable-line no-throw-literal -- hostile
  })
  await ended(undefinedThrown)
  t.equal(undefinedThrown.state, 'failed')
})

t.test('updateProgress takes the value of an interface', async (t) => {
  interface Steps { done: number, of?: number }
  const steps: Steps = { done: 1 }
  const app = await readyApp(t)
  const task = app.addTask(ignoresSignal)
  task.updateProgress(steps)
  t.same(task.progress, { done: 1 })
})

t.test('no kind of failure causes an unhandledRejection or a crash', async (t) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [
    '--import', 'tsx', '--unhandled-rejections=throw', require.resolve('../fixtures/hostile-tasks.ts')
  ], { encoding: 'utf8', timeout: 30_000, env })
  t.equal(stderr, '')
  t.equal(stdout, 'survived 12 tasks\n')
  t.equal(status, 0)
})
