import t from 'tap'
import { checkSize, checkTexts, copyData } from '../../lib/jobs/data'

t.test('data is copied as JSON has it; what JSON would lose is refused, and named', async (t) => {
  const data = { id: 1, left: undefined, at: new Date(0), list: [null] }
  t.strictSame(copyData('kind', data), { id: 1, at: '1970-01-01T00:00:00.000Z', list: [null] })
  t.equal(copyData('kind', undefined), null)
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  for (const [wrong, problem] of [
    [NaN, 'it is NaN'],
    [{ size: Infinity }, "'size' is Infinity"],
    [{ f () {} }, "'f' is [Function: f]"],
    [[Symbol('no')], "'0' is Symbol(no)"],
    [1n, 'Do not know how to serialize a BigInt'],
    [cycle, 'Converting circular structure to JSON']
  ] as const) {
    t.throws(() => copyData('kind', wrong), { code: 'FST_ERR_JOB_INVALID_DATA', message: `Data of a job of kind 'kind' is not JSON: ${problem}` })
  }
})

t.test('data may have as many bytes as its limit, and no more', async (t) => {
  t.doesNotThrow(() => checkSize('kind', 'é'.repeat(1_000)))
  t.doesNotThrow(() => checkSize('kind', 'é', 4))
  t.throws(() => checkSize('kind', 'é', 3), {
    code: 'FST_ERR_JOB_INVALID_DATA', message: "Data of a job of kind 'kind' has 4 bytes, more than its sizeLimit of 3"
  })
})

t.test('texts that PostgreSQL cannot hold are refused wherever they are', async (t) => {
  for (const wrong of ['\0', '\ud800']) {
    for (const value of [{ data: wrong }, { data: [{ [wrong]: 1 }] }]) t.throws(() => checkTexts(value), { code: 'FST_ERR_JOB_INVALID_TEXT', message: /data with U\+0000/ })
  }
  t.doesNotThrow(() => checkTexts({ data: 'é \\u0000 \u{1f600}' }))
})
