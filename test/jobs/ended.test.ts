import t from 'tap'
import { endOf, outcomeOf, removalOf } from '../../lib/jobs/ended'
import { cancellation, toEngineError } from '../../lib/jobs/serialization'
import { FST_ERR_JOB_EXPIRED } from '../../lib/shared/errors'
import { MemoryQueue } from '../fixtures/memory-engine'
t.test('what is kept of an end gives the outcome back', async (t) => {
  const queue = new MemoryQueue()
  const cancelled = cancellation('a', Object.assign(new Error('why'), { code: 'E_WHY' }))
  const expired = cancellation('a', new FST_ERR_JOB_EXPIRED('a'))
  for (const [more, how, expected] of [
    [{}, { result: { n: [1] } }, { state: 'completed', result: { n: [1] } }],
    [{}, { result: undefined }, { state: 'completed', result: null }],
    [{}, { result: () => {} }, { state: 'completed', result: null }],
    [{}, { result: 'x'.repeat(20_000) }, undefined],
    [{ failedReason: 'no', stacktrace: [toEngineError(Object.assign(new TypeError('no'), { code: 'E' })).stack!] }, { error: new Error('no') }, { state: 'failed', error: { code: 'E', message: 'no' } }],
    [{ failedReason: 'x'.repeat(3_000), stacktrace: [] }, { error: new Error('no') }, { state: 'failed', error: { code: 'FST_ERR_JOB_FAILED', message: /^x{2000}…$/ } }],
    [{ failedReason: cancelled.message, stacktrace: [cancelled.stack!] }, { error: cancelled }, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', cause: { code: 'E_WHY', message: 'why' } } }],
    [{ failedReason: cancelled.message, stacktrace: [cancelled.stack!] }, { error: new Error('without a cause') }, { state: 'cancelled', error: { cause: { code: 'E_WHY' } } }],
    [{ failedReason: expired.message, stacktrace: [expired.stack!] }, { error: expired }, { state: 'cancelled', error: { code: 'FST_ERR_JOB_EXPIRED' } }]
  ] as const) {
    queue.put({ finishedOn: 9, ...more as object })
    const kept = JSON.parse(JSON.stringify(endOf(queue.stored('id'), how)))
    t.match(outcomeOf(kept), expected as object)
  }
  t.match(outcomeOf(removalOf(queue.stored('id'), { value: 'why' })), { state: 'cancelled', error: { message: "Job 'a' was cancelled", cause: 'why' } })
})
