'use strict'
// Run by several test runners, each with its own `test` and its own fake time.
const assert = require('node:assert/strict')
const Fastify = require('fastify')
const fastifyTasks = require('fastify-tasks')

// Before anything is faked.
const { setTimeout: realTimeout } = globalThis
const real = (ms) => new Promise((resolve) => realTimeout(resolve, ms))

/** @param fake `useFake()`, `useReal()` and `advance(ms)` of the runner */
module.exports = function testFakeTimers (test, fake) {
  async function withApp (run) {
    const app = Fastify()
    await app.register(fastifyTasks, { cancelTimeout: 200, closeTimeout: 200 })
    await app.ready()
    try {
      await run(app)
    } finally {
      fake.useReal()
      await app.close()
    }
  }

  const untilAborted = (_app, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve))
  const ignoresSignal = () => new Promise(() => {})

  test('a task is awaited', () => withApp(async (app) => {
    fake.useFake()
    assert.equal(await app.addTask(async () => 42), 42)
    assert.equal(await app.addTask(() => 43, { name: 'named' }), 43)
    assert.equal(await app.addTask(Promise.resolve(44)), 44)
  }))

  test('a task is cancelled, and others once the time is real again', () => withApp(async (app) => {
    app.addTask(untilAborted, { name: 'before' })
    await real(20)
    fake.useFake()
    app.addTask(untilAborted, { name: 'meanwhile' })
    assert.equal(await app.cancelTask('before'), true)
    assert.equal(await app.cancelTask('meanwhile'), true)
    app.addTask(untilAborted, { name: 'after' })
    fake.useReal()
    assert.equal(await app.cancelTask('after'), true)
  }))

  test('a task that ignores its signal is given up, with each time', () => withApp(async (app) => {
    for (const name of ['a', 'b']) app.addTask(ignoresSignal, { name })
    while (app.getTask('b').state === 'pending') await real(5)
    fake.useFake()
    const first = assert.rejects(app.cancelTask('a'), { code: 'FST_ERR_TASK_CANCEL_TIMEOUT' })
    await fake.advance(10_000)
    await first
    fake.useReal()
    await assert.rejects(app.cancelTask('a'), { code: 'FST_ERR_TASK_CANCEL_TIMEOUT' })
    await assert.rejects(app.cancelTask('b'), { code: 'FST_ERR_TASK_CANCEL_TIMEOUT' })
  }))

  test('the leases of an app whose user fakes time do not stop those of another', () => withApp(async (other) => {
    await withApp(async (app) => {
      fake.useFake()
      app.addTask(untilAborted, { name: 'leased', ttl: 50 })
      await real(20)
      fake.useReal()
      const leased = other.addTask(untilAborted, { ttl: 50 })
      await assert.rejects(async () => { await leased }, { code: 'FST_ERR_TASK_EXPIRED' })
    })
    const later = other.addTask(untilAborted, { ttl: 50 })
    await assert.rejects(async () => { await later }, { code: 'FST_ERR_TASK_EXPIRED' })
  }))

  test('the time of the task itself is the user\'s', () => withApp(async (app) => {
    fake.useFake()
    const before = Date.now()
    let started
    const starts = new Promise((resolve) => { started = resolve })
    const task = app.addTask(async () => {
      const due = new Promise((resolve) => setTimeout(resolve, 3_600_000))
      started()
      await due
      return Date.now() - before
    })
    await starts
    await fake.advance(3_600_000)
    assert.equal(await task, 3_600_000)
  }))

  test('an app closes', () => withApp(async (app) => {
    const waits = app.addTask(async () => 'done', { name: 'waits', onClose: 'wait' })
    const cancelled = app.addTask(untilAborted, { name: 'cancelled' })
    await real(20)
    fake.useFake()
    await app.close()
    assert.equal(waits.state, 'completed')
    assert.equal(cancelled.state, 'cancelled')
  }))

  test('a signal of the runner\'s realm is taken', () => withApp(async (app) => {
    const controller = new AbortController()
    const task = app.addTask(untilAborted, { signal: controller.signal })
    await real(20)
    controller.abort()
    await assert.rejects(async () => { await task }, { code: 'FST_ERR_TASK_CANCELLED' })
  }))
}
