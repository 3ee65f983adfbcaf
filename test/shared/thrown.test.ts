import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { describeThrown, isAbortError } from '../../lib/shared/thrown'
import { readyApp } from '../fixtures/app'

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
