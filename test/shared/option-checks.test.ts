import { inspect } from 'node:util'
import t from 'tap'
import { abortSignal, formatValue, omitUndefined } from '../../lib/shared/option-checks'

t.test('a wrong value is shown on one line and cut short', async (t) => {
  t.equal(formatValue({ a: { b: 1 } }), '{ a: [Object] }')
  t.ok(formatValue('x'.repeat(1000)).length < 202)
  const wide = formatValue(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key${i}`, i])))
  t.equal(wide.length, 201)
  const longest = Symbol('x'.repeat(192))
  t.equal(formatValue(longest), longest.toString())
  t.ok(wide.endsWith('…'))
  t.equal(formatValue({ [inspect.custom] () { throw new Error('no') } }), 'a value that cannot be shown')
})

t.test('options that are undefined are omitted', async (t) => {
  t.strictSame(omitUndefined({ a: 0, b: undefined, c: null }), { a: 0, c: null })
})

t.test('a signal is known by its members, and one whose getters throw is none', async (t) => {
  const [, accepts] = abortSignal
  const { addEventListener, removeEventListener } = new EventTarget()
  for (const value of [AbortSignal.abort(), { aborted: false, addEventListener, removeEventListener }]) t.ok(accepts(value))
  for (const value of [
    undefined, null, 'aborted', { aborted: false }, { aborted: 'no', addEventListener, removeEventListener }, { aborted: false, addEventListener },
    { get aborted () { throw new Error('no') }, addEventListener, removeEventListener }
  ]) t.notOk(accepts(value))
})
