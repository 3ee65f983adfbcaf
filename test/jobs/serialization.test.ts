import t from 'tap'
import { errors } from '../../index'
import { cancellation, toEngineError, readFailure, readFailureEvent, serializeReason, startsOf, deserializeReason, storableResult } from '../../lib/jobs/serialization'
import { stored } from '../fixtures/engine'

const hostile = new Proxy({}, { get () { throw new Error('never') } })
const circular: Record<string, unknown> = {}
circular.self = circular

/** What becomes of an error that the engine has noted: it keeps message and stack. */
const noted = (error: Error, data: object = { name: 'a' }): ReturnType<typeof readFailure> => (
  readFailure(stored({ data, stacktrace: ['Error: an earlier attempt', error.stack], failedReason: error.message }))
)

t.test('attempts are the starts where the kind is known', async (t) => {
  t.equal(startsOf(stored({ attemptsStarted: 5 })), 5)
  t.equal(startsOf(stored({ attemptsStarted: 5, data: { misrouted: 3 } })), 2)
})

t.test('a reason travels as JSON, an error with its name, message and code', async (t) => {
  for (const reason of ['text', 7, null, { why: ['object'] }]) t.same(deserializeReason(serializeReason(reason)), reason)
  t.equal(deserializeReason(serializeReason(undefined)), undefined)
  for (const error of [Object.assign(new RangeError('too much'), { code: 'E_MUCH' }), new Error('plain')]) {
    const packed = serializeReason(error)
    t.same(JSON.parse(JSON.stringify(packed)), JSON.parse(JSON.stringify({ error: { name: error.name, message: error.message, code: (error as { code?: string }).code } })))
    const unpacked = deserializeReason(packed)
    t.ok(unpacked instanceof Error)
    t.match(unpacked, { name: error.name, message: error.message, code: (error as { code?: string }).code })
  }
})

t.test('a reason that is not JSON travels as its text', async (t) => {
  t.same(serializeReason(circular), { value: '[object Object]' })
  t.same(serializeReason(1n), { value: '1' })
  t.same(serializeReason(Object.assign(Object.create(null), { self: circular })), { value: 'An error that cannot be described' })
  t.match(serializeReason(Object.defineProperty(new Error('named'), 'name', { get () { throw new Error('never') } })), { error: { name: 'Error', message: 'named' } })
})

t.test('what PostgreSQL cannot hold is replaced in reasons and failures', async (t) => {
  const text = 'a\0b\ud800c'
  t.same(serializeReason({ why: [text] }), { value: { why: ['a\uFFFDb\uFFFDc'] } })
  t.same(serializeReason({ [text]: '\\u0000\0' }), { value: { 'a\uFFFDb\uFFFDc': '\\u0000\uFFFD' } })
  t.match(serializeReason(new Error(text)), { error: { message: 'a\uFFFDb\uFFFDc' } })
  t.same(serializeReason({ big: 1n, toString: () => text }), { value: 'a\uFFFDb\uFFFDc' })
  const { message, stack } = toEngineError(new Error(text))
  t.equal(message, 'a\uFFFDb\uFFFDc')
  t.match(stack, /^Error: a\uFFFDb\uFFFDc\n/)
})

t.test('a result is as it was, but for what PostgreSQL cannot hold', async (t) => {
  const good = { text: 'tab\t', escaped: '\\u0000' }
  for (const result of [undefined, null, 7, good]) t.equal(storableResult(result), result)
  t.same(storableResult({ 'a\0': ['\ud800'] }), { 'a\uFFFD': ['\uFFFD'] })
})

t.test('a failure keeps the message, code and frames of what was thrown', async (t) => {
  const thrown = Object.assign(new TypeError('wrong: [X]: y'), { code: 'E_X' })
  const error = toEngineError(thrown)
  t.equal(error.message, 'wrong: [X]: y')
  t.equal(error.name, 'Error')
  t.equal(error.stack, thrown.stack!.replace('TypeError:', 'TypeError [E_X]:'))
  t.match(noted(error), { state: 'failed', error: { code: 'E_X', message: 'wrong: [X]: y' } })
  t.ok(noted(error).error instanceof errors.FST_ERR_JOB_FAILED)

  const plain = toEngineError(new Error('two\nlines'))
  t.match(plain.stack, /^Error: two\nlines\n {4}at /)
  t.match(noted(plain), { state: 'failed', error: { code: 'FST_ERR_JOB_FAILED', message: 'two\nlines' } })
})

t.test('a failure is made of anything that was thrown', async (t) => {
  for (const [thrown, stack] of [
    ['a string', 'Error: a string'],
    [null, 'Error: null'],
    [{ name: 5, message: 'odd' }, '5: odd'],
    [{ message: 'no name', stack: 'no frames' }, 'Error: no name'],
    [hostile, 'Error: An error that cannot be described']
  ]) {
    t.equal(toEngineError(thrown).stack, stack)
  }
})

t.test('an error that is not to be tried again tells the engine so by its name', async (t) => {
  t.equal(toEngineError(Object.assign(new Error('no more'), { name: 'UnrecoverableError' })).name, 'UnrecoverableError')
  t.equal(cancellation('a', 'why').name, 'UnrecoverableError')
})

t.test('a code is read from the first line of the last stack alone, where Node has it', async (t) => {
  for (const [stack, code] of [
    ['TypeError [E_X]: message', 'E_X'],
    ['A [BC D]: message', 'BC D'],
    ['TypeError [E_X] message', undefined],
    ['TypeError [E_X]:message', undefined],
    ['TypeError[E_X]: message', undefined],
    ['TypeError []: message', undefined],
    ['Error: message of a Thing [E_X]: no', undefined],
    ['Error: [E_X]: no', undefined],
    [' [E_X]: no', undefined],
    ['Error: m\nThing [E_X]: no', undefined]
  ]) {
    t.equal(readFailure(stored({ stacktrace: ['Error [E_FIRST]: an earlier attempt', stack], failedReason: 'm' })).error.code, code ?? 'FST_ERR_JOB_FAILED')
  }
})

t.test('a failure of which the engine has noted nothing is a failure', async (t) => {
  t.match(readFailure(stored()), { state: 'failed', error: { message: '', code: 'FST_ERR_JOB_FAILED' } })
  t.match(readFailure(stored({ stacktrace: [], failedReason: 'stalled' })), { state: 'failed', error: { message: 'stalled' } })
})

t.test('a cancel is told from a failure, with its reason', async (t) => {
  const reason = Object.assign(new Error('expired'), { code: 'E_EXPIRED' })
  const error = cancellation('a', reason)
  t.equal(error.message, "Job 'a' was cancelled")
  t.equal(error.stack, reason.stack!.replace('Error: expired', "JobCancelled [E_EXPIRED]: Job 'a' was cancelled"))
  const { state, error: outcome } = noted(error, { name: 'a', cancel: { value: 'why' } })
  t.equal(state, 'cancelled')
  t.ok(outcome instanceof errors.FST_ERR_JOB_CANCELLED)
  t.match(outcome, { message: "Job 'a' was cancelled", code: 'FST_ERR_JOB_CANCELLED', cause: 'why' })
})

t.test('a cancel that the fleet did not ask for tells the code of what stopped the job', async (t) => {
  for (const [reason, code] of [[Object.assign(new Error('expired'), { code: 'E_EXPIRED' }), 'E_EXPIRED'], [new Error('no code'), 'FST_ERR_JOB_CANCELLED'], ['text', 'FST_ERR_JOB_CANCELLED'], [{ code: 'E_NOT_AN_ERROR' }, 'FST_ERR_JOB_CANCELLED']] as const) {
    t.match(noted(cancellation('a', reason)), { state: 'cancelled', error: { cause: { message: "Job 'a' was cancelled by the worker that ran it", code } } })
  }
})

t.test('without a record, a cancel is told from a failure by the whole of its message', async (t) => {
  const { state, error } = readFailureEvent('a\n:b', cancellation('a\n:b', 'why').message)
  t.equal(state, 'cancelled')
  t.match(error, { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'a\n:b' was cancelled" })
  for (const message of ["Job 'a' was cancelled by whom?", "That Job 'a' was cancelled", '']) {
    t.match(readFailureEvent('a', message), { state: 'failed', error: { code: 'FST_ERR_JOB_FAILED', message } })
  }
})

t.test('a failure that calls itself a cancel is a failure', async (t) => {
  const thrown = Object.assign(new Error('no'), { name: 'JobCancelled', code: 'E_OWN' })
  t.match(noted(toEngineError(thrown)), { state: 'failed', error: { code: 'E_OWN', message: 'no' } })
})
