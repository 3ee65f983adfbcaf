import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Kind } from '../../lib/jobs/kinds'
import { Runner } from '../../lib/jobs/runner'
import { TICK } from '../../lib/jobs/schedules'
import type { Stored } from '../../lib/jobs/serialization'
import { appWithTasks, logged, nextTask, readyApp, untilAborted } from '../fixtures/app'
import { stored } from '../fixtures/engine'

async function runnerOf (t: Test, handler: Kind['handler'], options: Partial<Kind['options']> = {}, boot = readyApp) {
  const { lines, logger } = logged('warn')
  const app = await boot(t, {}, { logger })
  const runner = new Runner(app, new Map([['kind', { app, handler, options: { queue: 'default', ...options } }]]))
  const rooms: string[] = []
  const parked: Array<[queue: string, job: Stored]> = []
  const unmarked: string[] = []
  runner.expiries = { unmark: (_queue, { id, data: { expiresAt } }) => { if (expiresAt !== undefined) unmarked.push(id!) } }
  runner.misrouted = {
    nextTime: () => 25,
    remember: (queue, job) => { parked.push([queue, job]) },
    onRoom: (queue) => { rooms.push(queue) }
  }
  return { app, runner, lines, rooms, parked, unmarked }
}

/** A job, and what it is told when it is moved. */
function movable (more: object = {}) {
  const moved: Array<[at: number, token: string]> = []
  return { moved, job: stored({ moveToDelayed: async (at: number, token: string) => { moved.push([at, token]) }, ...more }) }
}

/** Nothing waits for jobs. */
const LEFT = Promise.resolve()
const RELEASED = { name: 'DelayedError', message: 'released' }

t.test('a handler is told of its job, and what it returns is the result', async (t) => {
  const { app, runner, lines } = await runnerOf(t, async function (instance, task, data, job) {
    t.equal(this, app)
    t.equal(instance, app)
    t.match(task, { name: /^job:a#id$/, state: 'running' })
    t.same(task.toJSON().lease?.ttl, 60_000)
    t.same(runner.names, ['a'])
    return { data, job }
  })
  const job = stored({ data: { name: 'a', data: { n: 1 }, ttl: 60_000, misrouted: 1 }, attemptsStarted: 3 })
  t.same(await runner.process('default', job), { data: { n: 1 }, job: { name: 'a', kind: 'kind', attempts: 2 } })
  t.same(runner.names, [])
  t.same(lines, [])
})

t.test('the task of a job has a name that no other has, with the start of the id', async (t) => {
  const { runner } = await runnerOf(t, async (_app, task) => task.name as never)
  t.equal(await runner.process('default', stored({ id: '0123456789' })), 'job:a#01234567')
})

t.test('what comes at the time of a schedule is run by the schedules', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it is no job'))
  const ticks: unknown[] = []
  runner.schedules = { tick: async (queue, job) => { ticks.push([queue, job.id]) } }
  await runner.process('media', stored({ name: TICK, data: { schedule: 'nightly' } }))
  t.same(ticks, [['media', 'id']])
})

t.test('what a handler throws is noted and logged, with the attempt', async (t) => {
  const { runner, lines } = await runnerOf(t, async () => { throw Object.assign(new Error('no'), { code: 'E_NO' }) })
  await t.rejects(runner.process('default', stored({ attemptsStarted: 2 })), { message: 'no', stack: /^Error \[E_NO\]: no\n/ })
  t.match(lines.at(-1), { level: 50, msg: 'Job failed', attempt: 2, job: 'a', task: 'job:a#id', err: { message: 'no' } })
  t.same(runner.names, [])
})

t.test('an attempt that takes longer than its timeout has failed, and one that does not leaves no timer', async (t) => {
  const slow = await runnerOf(t, untilAborted, { timeout: 5 })
  await t.rejects(slow.runner.process('default', stored()), { message: "Job 'a' took longer than 5 ms", stack: /^FastifyError \[FST_ERR_JOB_TIMEOUT\]: / })
  t.match(slow.lines.at(-1), { msg: 'Job failed', err: { message: "Job 'a' took longer than 5 ms" } })

  const timers = (): number => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
  const before = timers()
  let during = 0
  const quick = await runnerOf(t, async () => { during = timers() }, { timeout: 60_000 })
  await quick.runner.process('default', stored())
  t.equal(during, before + 1)
  t.equal(timers(), before)
  const unlimited = await runnerOf(t, async () => { during = timers() })
  await unlimited.runner.process('default', stored())
  t.equal(during, before)
})

t.test('a failure after the timeout is the failure that is noted', async (t) => {
  const { runner } = await runnerOf(t, async (app, task) => {
    await untilAborted(app, task).catch(() => {})
    throw new Error('while cleaning up')
  }, { timeout: 5 })
  await t.rejects(runner.process('default', stored()), { message: 'while cleaning up' })
})

t.test('a progress that the engine does not take is logged, and the job and its later progress go on', async (t) => {
  const told: unknown[] = []
  const { runner, lines } = await runnerOf(t, async (_app, task) => {
    task.updateProgress(50)
    await new Promise(setImmediate)
    task.updateProgress(60)
    await new Promise(setImmediate)
    task.updateProgress(70)
    return 'done'
  })
  const job = stored({ updateProgress: async (value: unknown) => { if (value === 50) throw new Error('away'); told.push(value) } })
  t.equal(await runner.process('default', job), 'done')
  t.same(told, [60, 70])
  t.match(lines, [{ level: 40, msg: 'Progress could not be reported', task: 'job:a#id', err: { message: 'away' } }])
})

t.test('of many reports at once the engine is told the first and the latest', async (t) => {
  const told: unknown[] = []
  const { app, runner, lines } = await runnerOf(t, async (_app, task) => {
    for (const value of [10, 20, 30]) task.updateProgress(value)
    return 'done'
  })
  app.addTask(async (_app, task) => { task.updateProgress(1) })
  t.equal(await runner.process('default', stored({ updateProgress: async (value: unknown) => { told.push(value) } })), 'done')
  t.same(told, [10, 30])
  t.same(lines, [])
})

t.test('a job has not ended before the engine knows its progress', async (t) => {
  let told = (): void => {}
  const { runner } = await runnerOf(t, async (_app, task) => { task.updateProgress(10) })
  let ended = false
  const outcome = runner.process('default', stored({ updateProgress: () => new Promise<void>((resolve) => { told = resolve }) })).then(() => { ended = true })
  await new Promise((resolve) => setTimeout(resolve, 5))
  t.notOk(ended)
  told()
  await outcome
})

t.test('a job is cancelled where it runs, for the reason that was sent', async (t) => {
  const { app, runner, lines } = await runnerOf(t, untilAborted)
  const started = nextTask(app)
  const outcome = runner.process('default', stored()).catch((error) => error)
  const [task] = await started
  runner.cancel({ id: 'unknown', reason: {} })
  runner.cancel({ id: 'id', reason: { error: { name: 'RangeError', message: 'enough', code: 'E_ENOUGH' } } })
  t.match(task.signal.reason, { name: 'RangeError', message: 'enough', code: 'E_ENOUGH' })
  t.match(await outcome, { name: 'UnrecoverableError', message: "Job 'a' was cancelled", stack: /^JobCancelled \[E_ENOUGH\]/ })
  t.same(lines, [], 'and is no failure')
  // What came for the earlier run is not kept for a later one.
  const again = nextTask(app)
  const second = runner.process('default', stored()).catch((error) => error)
  await again
  runner.stopAll()
  await second
})

t.test('a cancel that comes before its job, or with it, keeps it from starting', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it ran'))
  runner.cancel({ id: 'id', reason: { error: { name: 'Error', message: 'early', code: 'E_EARLY' } } })
  await t.rejects(runner.process('default', stored()), { name: 'UnrecoverableError', stack: /^JobCancelled \[E_EARLY\]/ })
  const flagged = stored({ data: { name: 'a', cancel: { error: { name: 'Error', message: 'flagged', code: 'E_FLAGGED' } } } })
  await t.rejects(runner.process('default', flagged), { name: 'UnrecoverableError', stack: /^JobCancelled \[E_FLAGGED\]/ })
  t.same(runner.names, [])
})

t.test('a cancel is for the run that it was made for, and not for a later one that was retried', async (t) => {
  const { app, runner } = await runnerOf(t, untilAborted)
  const retried = stored({ data: { name: 'a', data: {}, retries: 2 } })
  for (const retries of [undefined, 1, 3]) runner.cancel({ id: 'id', reason: {}, retries })
  const started = nextTask(app)
  const outcome = runner.process('default', retried).catch((error) => error)
  const [task] = await started
  for (const retries of [undefined, 1, 3]) runner.cancel({ id: 'id', reason: {}, retries })
  t.equal(task.state, 'running')
  runner.cancel({ id: 'id', reason: { value: 'why' }, retries: 2 })
  t.equal(task.signal.reason, 'why')
  t.match(await outcome, { message: "Job 'a' was cancelled" })
  runner.cancel({ id: 'id', reason: {}, retries: 2 })
  t.match(await runner.process('default', retried).catch((error) => error), { message: "Job 'a' was cancelled" })
})

t.test('of the cancels that come before their jobs a bounded number is kept', async (t) => {
  const { runner } = await runnerOf(t, async () => 'ran')
  for (let i = 0; i < 1_000; i++) runner.cancel({ id: `id-${i}`, reason: {} })
  await t.rejects(runner.process('default', stored({ id: 'id-0' })), { name: 'UnrecoverableError' })
  runner.cancel({ id: 'id-1000', reason: {} })
  t.equal(await runner.process('default', stored({ id: 'id-0' })), 'ran')
  await t.rejects(runner.process('default', stored({ id: 'id-1' })), { name: 'UnrecoverableError' })
})

t.test('a heartbeat renews the lease of the job that runs here', async (t) => {
  const { app, runner } = await runnerOf(t, untilAborted)
  const started = nextTask(app)
  const outcome = runner.process('default', stored()).catch(() => {})
  const [task] = await started
  let beats = 0
  task.heartbeat = () => ++beats > 0
  runner.heartbeat('unknown')
  t.equal(beats, 0)
  runner.heartbeat('id')
  t.equal(beats, 1)
  runner.cancel({ id: 'id', reason: {} })
  await outcome
})

t.test('a job that is no longer of this process is stopped here, and neither failed nor cancelled', async (t) => {
  for (const more of [{}, { moveToDelayed: async () => { throw new Error('Missing lock') } }]) {
    const { app, runner, lines } = await runnerOf(t, untilAborted)
    const started = nextTask(app)
    const outcome = t.rejects(runner.process('default', movable(more).job, 'token'), RELEASED)
    const [task] = await started
    runner.onLocksLost(['unknown', 'id'])
    t.match(task.signal.reason, { message: 'Lock lost: it was not renewed in time, so another process may run this job' })
    await outcome
    t.same(lines, [])
  }
})

t.test('a job whose lock was lost goes on under the new one when it comes back to the process in which it still runs', async (t) => {
  let runs = 0
  let release = (): void => {}
  const { app, runner } = await runnerOf(t, () => {
    runs++
    return new Promise((resolve) => { release = () => resolve('result') })
  })
  const started = nextTask(app)
  const outcomes = [runner.process('default', movable().job, 'token')]
  await started
  outcomes.push(runner.process('default', movable({ attemptsStarted: 2 }).job, 'another token'))
  release()
  t.same(await Promise.all(outcomes), ['result', 'result'])
  t.equal(runs, 1)
})

t.test('a job whose lock was lost is cancelled where it still runs when it comes back there', async (t) => {
  const { app, runner } = await runnerOf(t, untilAborted)
  const started = nextTask(app)
  const outcomes = [runner.process('default', movable().job, 'token')]
  const [task] = await started
  outcomes.push(runner.process('default', movable({ attemptsStarted: 2, data: { name: 'a', data: {}, cancel: { value: 'why' } } }).job, 'another token'))
  for (const outcome of outcomes) await t.rejects(outcome, { message: "Job 'a' was cancelled" })
  t.equal(task.signal.reason, 'why')
})

t.test('a job that runs when the process leaves is stopped and handed back', async (t) => {
  const { app, runner } = await runnerOf(t, untilAborted)
  const { job, moved } = movable()
  const started = nextTask(app)
  const outcome = t.rejects(runner.process('default', job, 'token'), RELEASED)
  await started
  runner.stopAll()
  await outcome
  t.match(moved, [[Number, 'token']])
})

t.test('a job that comes when the process leaves is handed back, for another to take within a second', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it ran'))
  const updates: unknown[] = []
  const { job, moved } = movable({ updateData: async (data: unknown) => { updates.push(data) } })
  runner.leave(LEFT)
  const since = Date.now()
  await t.rejects(runner.process('default', job, 'token'), RELEASED)
  t.match(moved, [[Number, 'token']])
  t.ok(moved[0][0] >= since + 100 && moved[0][0] <= Date.now() + 100)
  t.same(updates, [{ name: 'a', data: {}, misrouted: 1 }], 'it does not count as a start')
  const tick = movable({ name: TICK, data: { schedule: 'nightly' } })
  await t.rejects(runner.process('default', tick.job, 'token'), RELEASED)
  t.equal(tick.moved.length, 1)
})

t.test('a job and a task of one name do not meet', async (t) => {
  const { app, runner } = await runnerOf(t, async () => 'ran')
  app.addTask(untilAborted, { name: 'a' }).then(undefined, () => {})
  t.equal(await runner.process('default', stored()), 'ran')
})

t.test('a record that cannot be run fails at once, for good', async (t) => {
  const { runner } = await runnerOf(t, async () => t.fail('it ran'))
  const names = ['', 1, 'n'.repeat(1_001), 'nul \0', 'half \ud800'].map((name) => ({ name }))
  for (const data of [null, 'text', {}, ...names, { name: 'a', ttl: 2 ** 31 }, { name: 'a', ttl: 0 }, { name: 'a', expiresAt: 'x' }]) {
    await t.rejects(runner.process('default', stored({ data })), { name: 'UnrecoverableError', stack: /FST_ERR_JOB_INVALID_RECORD/ })
  }
  t.same(runner.names, [])
})

t.test('what addTask refuses fails at once, unless the tasks are closed', async (t) => {
  const { app, runner } = await runnerOf(t, async () => t.fail('it ran'))
  app.addTask(untilAborted, { name: 'job:a#id' }).then(undefined, () => {})
  await t.rejects(runner.process('default', stored()), { name: 'UnrecoverableError', stack: /FST_ERR_TASK_NAME_IN_USE/ })
  await app.close()
  const { job, moved } = movable({ id: 'other' })
  await t.rejects(runner.process('default', job, 'token'), RELEASED)
  t.equal(moved.length, 1)
})

t.test('a job that nobody started in time is cancelled, and one that was started is not', async (t) => {
  const { runner, unmarked } = await runnerOf(t, async () => 'ran')
  const late = stored({ data: { name: 'a', data: {}, expiresAt: Date.now() - 1 } })
  await t.rejects(runner.process('default', late), { name: 'UnrecoverableError', stack: /^JobCancelled \[FST_ERR_JOB_EXPIRED\]/ })
  t.equal(await runner.process('default', stored({ data: { name: 'a', expiresAt: Date.now() + 60_000 } })), 'ran')
  t.equal(await runner.process('default', stored({ attemptsStarted: 2, data: { name: 'a', expiresAt: 1 } })), 'ran', 'another attempt')
  t.same(unmarked, ['id'], 'once it was started in time nothing is kept of when it was to be')
  await t.rejects(runner.process('default', stored({ name: 'unknown', data: { name: 'a', expiresAt: 1 } })), { name: 'UnrecoverableError', message: "Job 'a' was cancelled" }, 'of an unknown kind too')
  const cancelled = stored({ data: { name: 'a', expiresAt: 1, cancel: { value: 'why' } } })
  await t.rejects(runner.process('default', cancelled), { name: 'UnrecoverableError', stack: /^JobCancelled \[FST_ERR_JOB_CANCELLED\]/ })
})

t.test('a job of an unknown kind whose time comes while it is put back is cancelled, unless it was started before', async (t) => {
  const { runner, parked } = await runnerOf(t, async () => t.fail('it ran'))
  for (const attemptsStarted of [1, 2]) {
    const expiresAt = Date.now() + 20
    const { job, moved } = movable({
      name: 'unknown',
      attemptsStarted,
      data: { name: 'a', expiresAt },
      updateData: async (data: object) => {
        Object.assign(job, { data })
        while (Date.now() < expiresAt) await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
    await t.rejects(runner.process('default', job, 'token'), attemptsStarted === 1 ? { name: 'UnrecoverableError', message: "Job 'a' was cancelled" } : RELEASED)
    t.equal(moved.length, attemptsStarted - 1)
  }
  t.equal(parked.length, 1)
})

t.test('a job of an unknown kind is put back for as long as it is told', async (t) => {
  const { runner, lines, parked } = await runnerOf(t, async () => t.fail('it ran'))
  const updates: unknown[] = []
  const { job, moved } = movable({
    name: 'unknown', data: { name: 'a', data: 1, misrouted: 1 }, updateData: async (data: unknown) => { updates.push(data) }
  })
  await t.rejects(runner.process('default', job, 'token'), RELEASED)
  t.same(updates, [{ name: 'a', data: 1, misrouted: 2 }])
  t.same(moved, [[25, 'token']])
  t.match(parked, [['default', { name: 'unknown' }]])
  const first = movable({ name: 'unknown', data: { name: 'a', data: 1 }, updateData: async (data: unknown) => { updates.push(data) } })
  await t.rejects(runner.process('default', first.job, 'token'), RELEASED)
  t.same(updates.at(-1), { name: 'a', data: 1, misrouted: 1 })
  const broken = movable({ name: 'unknown', data: null })
  await t.rejects(runner.process('default', broken.job, 'token'), RELEASED)
  t.equal(broken.moved.length, 1, 'and a broken one too')
  t.same(lines, [], 'without a word')
})

t.test('a job of an unknown kind that the store does not put back has not failed', async (t) => {
  const { runner, parked } = await runnerOf(t, async () => t.fail('it ran'))
  const away = async (): Promise<never> => { throw new Error('away') }
  for (const more of [{ updateData: away }, { updateData: async () => {}, moveToDelayed: away }]) {
    await t.rejects(runner.process('default', movable({ name: 'unknown', data: { name: 'a', data: 1 }, ...more }).job, 'token'), RELEASED)
  }
  t.same(parked, [])
})

t.test('when the process leaves, jobs may finish, but for those of kinds that are cancelled', async (t) => {
  let release = (_value: unknown): void => {}
  const waiting = await runnerOf(t, () => new Promise((resolve) => { release = resolve }))
  const started = nextTask(waiting.app)
  const outcome = waiting.runner.process('default', stored())
  const [task] = await started
  t.equal(waiting.runner.count('default'), 1)
  t.equal(waiting.runner.count('other'), 0)
  waiting.runner.leave(LEFT)
  t.notOk(task.signal.aborted)
  release('result')
  t.equal(await outcome, 'result')
  t.same(waiting.rooms, ['default'])

  const cancelled = await runnerOf(t, untilAborted, { onClose: 'cancel' })
  const { job, moved } = movable()
  const start = nextTask(cancelled.app)
  const released = t.rejects(cancelled.runner.process('default', job, 'token'), RELEASED)
  await start
  let leave = (): void => {}
  cancelled.runner.leave(new Promise<void>((resolve) => { leave = resolve }))
  await once(cancelled.app.tasks, 'end')
  await nextTurn()
  t.equal(moved.length, 0, 'this process still waits for jobs, and would get the notice of this one')
  leave()
  await released
  t.equal(moved.length, 1)
})

for (const ttl of [undefined, 60_000]) {
  t.test(`a job ${ttl === undefined ? 'without' : 'with'} a lease is not stopped by the closeTimeout of tasks`, async (t) => {
    let drained = (): void => {}
    const { app, runner } = await runnerOf(t, untilAborted, {}, async (t, _options, server) => {
      const app = await appWithTasks(t, { closeTimeout: 1 }, server)
      // As of the jobs plugin, which waits for its jobs here.
      app.addHook('onClose', () => new Promise<void>((resolve) => { drained = resolve }))
      await app.ready()
      return app
    })
    const { job, moved } = movable({ data: { name: 'a', data: {}, ttl } })
    const started = nextTask(app)
    const released = t.rejects(runner.process('default', job, 'token'), RELEASED)
    const [task] = await started
    const own = app.addTask(untilAborted, { ttl, onClose: 'wait' })
    const closed = app.close()
    await t.rejects(Promise.resolve(own), { code: 'FST_ERR_TASK_CANCELLED' })
    t.equal(task.state, 'running')
    runner.stopAll()
    await released
    t.equal(moved.length, 1)
    drained()
    await closed
  })
}

t.test('what a handler returns after it was told to stop for another process is its result', async (t) => {
  for (const stop of [(runner: Runner) => runner.stopAll(), (runner: Runner) => runner.onLocksLost(['id'])]) {
    for (const result of ['done', null, 0, undefined]) {
      const { app, runner } = await runnerOf(t, async (_app, task) => {
        await new Promise((resolve) => task.signal.addEventListener('abort', resolve))
        return result
      })
      const { job, moved } = movable()
      const started = nextTask(app)
      const outcome = runner.process('default', job, 'token').catch((error) => error)
      await started
      stop(runner)
      if (result === undefined) t.match(await outcome, Error)
      else t.equal(await outcome, result)
      t.equal(moved.length, result === undefined ? 1 : 0)
    }
  }
})

t.test('what a handler throws after it was told to stop for another process is not its failure', async (t) => {
  const { app, runner, lines } = await runnerOf(t, async (_app, task) => {
    await new Promise((resolve) => task.signal.addEventListener('abort', resolve))
    throw new Error('of its own')
  })
  const { job, moved } = movable()
  const started = nextTask(app)
  const outcome = t.rejects(runner.process('default', job, 'token'), RELEASED)
  await started
  runner.stopAll()
  await outcome
  t.equal(moved.length, 1)
  t.notMatch(lines, [{ msg: 'Job failed' }])
})

t.test('a job that fails after it was cancelled is not tried again', async (t) => {
  const { app, runner, lines } = await runnerOf(t, async (_app, task) => {
    await new Promise((resolve) => task.signal.addEventListener('abort', resolve))
    throw new Error('of its own')
  })
  const started = nextTask(app)
  const outcome = t.rejects(runner.process('default', stored()), { name: 'UnrecoverableError', message: 'of its own' })
  await started
  runner.cancel({ id: 'id', reason: {} })
  await outcome
  t.match(lines.at(-1), { msg: 'Job failed', err: { message: 'of its own' } })
})

t.test('a handler may throw at once, and must not return its own task', async (t) => {
  const thrower = await runnerOf(t, () => { throw new Error('at once') })
  await t.rejects(thrower.runner.process('default', stored()), { message: 'at once' })
  const own = await runnerOf(t, (_app, task) => task as never)
  await t.rejects(own.runner.process('default', stored()), { message: /returned itself/ })
  for (const result of [7, null, undefined, { then: 1 }]) {
    const { runner } = await runnerOf(t, () => result as never)
    t.same(await runner.process('default', stored()), result)
  }
})

t.test('what a handler returns at once after it was stopped is its result, as later', async (t) => {
  const { runner } = await runnerOf(t, () => {
    runner.stopAll()
    return 7 as never
  })
  t.equal(await runner.process('default', movable().job, 'token'), 7)
  const cancelled = await runnerOf(t, () => {
    cancelled.runner.cancel({ id: 'id', reason: {} })
    return 7 as never
  })
  await t.rejects(cancelled.runner.process('default', stored()), { message: "Job 'a' was cancelled" })
})

t.test('what a job logs at info and above is kept with it, if it says how many lines', async (t) => {
  const kept: string[] = []
  const { runner } = await runnerOf(t, async (_app, task) => {
    task.log.debug('not kept')
    task.log.info('step %d', 1)
    task.log.warn({ size: 2 }, 'grows')
    task.log.child({ part: 'x' }).error(new Error('failed'))
    task.log.error({ message: 'an object has one too' })
    task.log.info(null)
    task.log.fatal({ size: 3 })
    return task.log.level
  })
  const log = async (line: string): Promise<void> => {
    kept.push(line)
    throw new Error('the store is away')
  }
  t.equal(await runner.process('default', stored({ opts: { keepLogs: 10 }, log })), 'warn')
  t.same(kept, ['info: step 1', 'warn: grows { size: 2 }', 'error: failed', "error: an object has one too { message: 'an object has one too' }", 'info: null', 'fatal: { size: 3 }'])
  kept.length = 0
  await runner.process('default', stored({ opts: {}, log }))
  t.same(kept, [])
})

t.test('the lines that a job keeps are stored one after the other, the latest of them, and before its end', async (t) => {
  const kept: string[] = []
  let writing = 0
  const log = async (line: string): Promise<void> => {
    t.equal(++writing, 1)
    await new Promise(setImmediate)
    writing--
    kept.push(line)
  }
  const { runner } = await runnerOf(t, async (_app, task) => {
    for (let i = 0; i < 50; i++) task.log.info('line %d', i)
    throw new Error('no')
  })
  await t.rejects(runner.process('default', stored({ opts: { keepLogs: 3 }, log })))
  t.same(kept, ['info: line 47', 'info: line 48', 'info: line 49'])
})
