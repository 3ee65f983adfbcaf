import t from 'tap'
import type { Outcome } from '../../lib/jobs/ended'
import { waitFor } from '../../lib/jobs/waiting'
import { FakeTime } from '../fixtures/fake-time'

const time = new FakeTime()
t.teardown(time.restore)

const done: Outcome = { state: 'completed', result: 7 }

function waitOf () {
  let settle!: (outcome: Outcome) => void
  let fail!: (error: Error) => void
  let abandoned = 0
  const ended = new Promise<Outcome>((resolve, reject) => { settle = resolve; fail = reject })
  return { wait: { ended, abandon: () => { abandoned++ } }, settle, fail, abandoned: () => abandoned }
}

/** A signal that counts its listeners. */
function signalOf () {
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = function (this: AbortSignal, ...args: any[]) { listeners++; return addEventListener.apply(this, args as any) } as any
  signal.removeEventListener = function (this: AbortSignal, ...args: any[]) { listeners--; return removeEventListener.apply(this, args as any) } as any
  return { signal, abort: (reason?: unknown) => controller.abort(reason), listeners: () => listeners }
}

t.test('without options it is the wait itself', async (t) => {
  const { wait } = waitOf()
  t.equal(waitFor(wait, 'a', {}), wait.ended)
})

t.test('the outcome comes before the time-out, and leaves neither timer nor listener', async (t) => {
  for (const error of [undefined, new Error('no')]) {
    const { wait, settle, fail, abandoned } = waitOf()
    const { signal, listeners } = signalOf()
    const waiting = waitFor(wait, 'a', { timeout: 50, signal })
    t.equal(time.timers.size, 1)
    if (error === undefined) settle(done)
    else fail(error)
    if (error === undefined) t.equal(await waiting, done)
    else await t.rejects(waiting, error)
    t.same([time.timers.size, listeners(), abandoned()], [0, 0, 0])
  }
})

t.test('a time-out gives up waiting', async (t) => {
  const { wait, abandoned } = waitOf()
  const { signal, listeners } = signalOf()
  const waiting = t.rejects(waitFor(wait, 'a', { timeout: 50, signal }), { code: 'FST_ERR_JOB_WAIT_TIMEOUT', message: "Job 'a' has not ended within 50 ms", statusCode: 504 })
  await time.pass(51, () => {})
  await waiting
  t.same([time.timers.size, listeners(), abandoned()], [0, 0, 1])
})

t.test('a signal gives up waiting with its reason, whatever that is', async (t) => {
  for (const before of [true, false]) {
    for (const reason of ['text', new Error('why'), 0]) {
      const { wait, abandoned } = waitOf()
      const { signal, abort, listeners } = signalOf()
      if (before) abort(reason)
      const waiting = waitFor(wait, 'a', { signal, timeout: 50 })
      abort(reason)
      t.equal(await waiting.catch((thrown) => thrown), reason)
      t.equal(time.timers.size, 0)
      t.equal(abandoned(), 1)
      t.ok(listeners() <= 0)
    }
  }
})
