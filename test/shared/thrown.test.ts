import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { childOf, describeThrown, isAbortError, logLine, logRejectionOf, logThrown, releaseFrames } from '../../lib/shared/thrown'
import { appWithTasks, ended, ignoresSignal, logged, readyApp, untilAborted } from '../fixtures/app'
import { fakeLog } from '../fixtures/log'

const hostile = { get message () { throw new Error('no message') }, get name () { throw new Error('no name') } }

t.test('an error that the logger cannot read is still logged, and the task ends', async (t) => {
  const stream = new PassThrough({ encoding: 'utf8' })
  const app = await readyApp(t, {}, { logger: { level: 'error', stream } })
  const ended = new Promise<void>((resolve) => { app.tasks.once('end', () => resolve()) })
  const [line] = await Promise.all([once(stream, 'data'), ended, app.addTask(() => { throw hostile }, { name: 'a' }).name])
  t.match(JSON.parse(line[0]), { task: 'a', msg: 'Task failed', err: { message: 'An error that cannot be described' } })
  t.equal(app.getTask('a')?.state, 'failed')
})

t.test('a listener that throws such an error does not affect the task', async (t) => {
  const stream = new PassThrough({ encoding: 'utf8' })
  const app = await readyApp(t, {}, { logger: { level: 'error', stream } })
  app.tasks.on('start', () => { throw hostile })
  const line = once(stream, 'data')
  t.equal(await app.addTask(() => 42, { name: 'a' }), 42)
  t.match(JSON.parse((await line)[0]), { task: 'a', event: 'start', msg: 'A listener on app.tasks threw an error' })
})

/** As in an app with tasks of its own. */
const serializers = { task: (task: { id: number }) => task.id.toString(), age: (age: { years: number }) => age.years.toString(), event: (event: { id: number }) => event.id.toString() }

t.test("where a serializer of the app's fails at a field, the line is logged without the fields, by the task's name", async (t) => {
  const { lines, logger } = logged()
  const app = await appWithTasks(t, {}, { logger: { ...logger as object, serializers } })
  const early = app.addTask(() => { throw new Error('boom') }, { name: 'early' })
  early.then(() => {}, () => {})
  await new Promise((resolve) => setImmediate(resolve))
  await app.ready()
  app.tasks.on('end', () => { throw new Error('listener') })
  await ended(app.addTask(() => { throw new Error('boom') }, { name: 'fails' }))
  t.equal(await app.addTask(async (_app, { log }) => { log.info('from the task'); return 42 }), 42)
  app.addTask(untilAborted, { name: 'cancelled' })
  t.equal(await app.cancelTask('cancelled'), true)
  const stuck = app.addTask(ignoresSignal, { name: 'stuck' })
  await new Promise((resolve) => setImmediate(resolve))
  await app.close()
  t.equal(stuck.state, 'cancelling')
  t.equal(early.state, 'failed')
  const of = (level: number): unknown[] => lines.filter((line) => line.level === level).map(({ msg, err }) => err === undefined ? msg : [msg, err.message])
  t.match(of(50).filter((line) => /^Task/.test(String(line))), [['Task failed: fails', 'boom']])
  t.match(of(40), [/^Task is awaited before/, 'Task is still running after the app was closed: stuck'])
  t.strictSame(of(20), ['Task cancelled'])
  t.ok(of(30).includes('from the task'))
})

t.test('where the error cannot be serialized either, its text is logged', async (t) => {
  const failing = { ...serializers, err: () => { throw new Error('no') } }
  for (const [names, expected] of [
    [['err'], { task: 'a', msg: 'Task failed: a: boom' }],
    [['err', 'task'], { msg: 'Task failed: a: boom' }]
  ] as const) {
    const { lines, logger } = logged()
    const app = await readyApp(t, {}, { logger: { ...logger as object, serializers: Object.fromEntries(names.map((name) => [name, failing[name]])) as {} } })
    await ended(app.addTask(() => { throw new Error('boom') }, { name: 'a' }))
    t.match(lines.filter(({ level }) => level === 50), [expected])
    t.notOk(lines.some(({ err }) => err !== undefined))
  }
})

t.test('an error that says the same has the code', async (t) => {
  const { lines, logger } = logged()
  const original = Object.assign(new Error('boom'), { code: 'E_BOOM' })
  const err = (error: Error & { code?: string }): object => {
    if (error === original) throw new Error('no')
    return { message: error.message, code: error.code }
  }
  const app = await readyApp(t, {}, { logger: { ...logger as object, serializers: { err } as {} } })
  await ended(app.addTask(() => { throw original }, { name: 'a' }))
  t.match(lines.filter(({ level }) => level === 50), [{ task: 'a', err: { message: 'boom', code: 'E_BOOM' } }])
})

t.test('a logger that always throws disturbs nobody', async (t) => {
  const fail = (): never => { throw new Error('no logger') }
  const log = { child: fail, debug: fail, info: fail, warn: fail, error: fail } as any
  logLine(log, 'warn', 'a line')
  logThrown(log, new Error('boom'), 'failed')
  t.equal(childOf(log, { task: 'a' }), log)
  const app = await readyApp(t)
  const task = app.addTask(() => { throw new Error('boom') }, { log })
  await ended(task)
  t.equal(task.state, 'failed')
})

t.test('the stacks of an error and its causes are read once, whatever they are', async (t) => {
  const read: string[] = []
  const make = (name: string, cause?: unknown): Error => Object.defineProperty(new Error(name, { cause }), 'stack', { get () { read.push(name); return 'the stack' } })
  releaseFrames(make('a', make('b', 'a text')))
  t.same(read.splice(0), ['a', 'b'])
  const cyclic = new Error('cyclic')
  cyclic.cause = cyclic
  for (const thrown of [undefined, null, 'a text', cyclic, { get stack () { throw new Error('no') } }, Object.assign(new Error('a'), { stack: undefined, cause: make('c') })]) releaseFrames(thrown)
  t.same(read, [])
})

t.test('of what is no promise no method is called', async (t) => {
  logRejectionOf({ then: () => t.fail('then was called'), catch: () => t.fail('catch was called') }, fakeLog().log, 'a line')
})

t.test('anything thrown can be described', async (t) => {
  t.same(describeThrown(undefined), { message: 'undefined' })
  t.same(describeThrown(Symbol('a')), { message: 'Symbol(a)' })
  t.same(describeThrown(null), { message: 'null' })
  t.same(describeThrown({ code: 7, message: 8, toString: () => 'nine' }), { code: undefined, message: 'nine' })
  t.same(describeThrown(Object.assign(new Error('a'), { code: 'E_A' })), { code: 'E_A', message: 'a' })
  t.same(describeThrown(hostile), { message: 'An error that cannot be described' })
})

t.test('an AbortError is recognised by its name alone', async (t) => {
  t.equal(isAbortError({ name: 'AbortError' }), true)
  for (const other of [undefined, null, 'AbortError', new Error('a'), hostile]) t.equal(isAbortError(other), false)
})
