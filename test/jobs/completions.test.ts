import t from 'tap'
import { CompletionWaiter } from '../../lib/jobs/completions'
import type { Expiries } from '../../lib/jobs/expiries'
import type { Engine } from '../../lib/jobs/engine'
import type { Ended } from '../../lib/jobs/ended'
import type { Outcomes } from '../../lib/jobs/outcomes'
import { cancellation } from '../../lib/jobs/serialization'
import { FST_ERR_JOB_EXPIRED } from '../../lib/shared/errors'
import { FakeTime } from '../fixtures/fake-time'
import { memoryEngine, MemoryQueue, type Entry } from '../fixtures/memory-engine'

/** What is kept of ends apart from their records. */
class FakeOutcomes {
  readonly ends = new Map<string, Partial<Ended>>()
  readonly asked: string[][] = []

  async find (_queue: string, ids: string[]): Promise<Map<string, Partial<Ended>>> {
    this.asked.push(ids)
    return new Map([...this.ends].filter(([id]) => ids.includes(id)))
  }
}

interface Parts { queue: MemoryQueue, engine: Engine, outcomes: FakeOutcomes, completions: CompletionWaiter, overdue: string[] }

function partsOf (...entries: Array<Partial<Entry>>): Parts {
  const queue = new MemoryQueue()
  for (const entry of entries) queue.put(entry)
  const { engine } = memoryEngine(queue)
  const outcomes = new FakeOutcomes()
  /** Jobs that were to be ended for being overdue. */
  const overdue: string[] = []
  const expiries: Pick<Expiries, 'end'> = {
    end: async (_queue, id) => {
      overdue.push(id)
      if (queue.entries.get(id)!.state === 'active') return 'taken'
      await queue.stored(id).moveToFailed(cancellation('a', new FST_ERR_JOB_EXPIRED('a')), 'token')
      return 'ended'
    }
  }
  return { queue, engine, outcomes, overdue, completions: new CompletionWaiter(engine, outcomes as unknown as Outcomes, expiries) }
}

const failed = { state: 'failed', finishedOn: 9, failedReason: 'no', stacktrace: ['TypeError [ERR_X]: no\n    at there'] }

t.test('wait settles on the first event', async (t) => {
  const { engine, completions } = partsOf({ id: 'one', state: 'active' }, { id: 'other', state: 'active' })
  const one = completions.wait({ queue: 'default', id: 'one', name: 'a', attempts: 1 })
  const other = completions.wait({ queue: 'default', id: 'other', name: 'b', attempts: 1 })
  engine.events.emit('completed', { queue: 'elsewhere', jobId: 'one', returnvalue: 'of another queue' })
  engine.events.emit('completed', { queue: 'default', jobId: 'one', returnvalue: 'early' })
  engine.events.emit('completed', { queue: 'default', jobId: 'one', returnvalue: 'late' })
  t.same(await one.ended, { state: 'completed', result: 'early' })
  engine.events.emit('completed', { queue: 'default', jobId: 'other', returnvalue: 'other' })
  t.same(await other.ended, { state: 'completed', result: 'other' })
})

t.test('wait reads how a job has ended that no event tells of', async (t) => {
  for (const [entry, expected] of [
    [{ state: 'completed', finishedOn: 9, returnvalue: 7 }, { state: 'completed', result: 7 }],
    [failed, { state: 'failed', error: { message: 'no', code: 'ERR_X' } }]
  ] as const) {
    const { completions, outcomes } = partsOf(entry as unknown as Entry)
    t.match(await completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }).ended, expected)
    t.same(outcomes.asked, [], 'the record is enough')
  }
})

t.test('a failure is read in its record when an event tells of it', async (t) => {
  const { queue, engine, completions } = partsOf({ state: 'active' })
  engine.events.emit('failed', { queue: 'default', jobId: 'id', failedReason: 'no' })
  t.same(queue.asked, [], 'nobody waits')
  const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  queue.end('id', failed)
  const since = performance.now()
  engine.events.emit('failed', { queue: 'default', jobId: 'id', failedReason: 'no' })
  t.match(await ended, { state: 'failed', error: { code: 'ERR_X', message: 'no' } })
  t.ok(performance.now() - since < 400, 'long before the next poll')
})

t.test('without a record, what is kept of the end tells it', async (t) => {
  const ended = { name: 'a', endedAt: 9, attempts: 1 }
  for (const [kept, expected] of [
    [{ state: 'completed', result: 7 }, { state: 'completed', result: 7 }],
    [{ state: 'failed', error: { code: 'ERR_X', message: 'no' } }, { state: 'failed', error: { code: 'ERR_X', message: 'no' } }],
    [{ state: 'cancelled', cause: { value: 'why' } }, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', cause: 'why' } }]
  ] as const) {
    const { completions, outcomes } = partsOf()
    outcomes.ends.set('id', { ...ended, ...kept } as Ended)
    t.match(await completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }).ended, expected)
  }
})

t.test('the end of an earlier run is no evidence for a job that was retried', async (t) => {
  const { completions, outcomes, engine } = partsOf()
  outcomes.ends.set('id', { id: 'id', name: 'a', endedAt: 9, attempts: 1, state: 'failed', error: { code: 'E', message: 'of the run before' } })
  const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 2 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  outcomes.ends.set('id', { id: 'id', name: 'a', endedAt: 9, attempts: 2, state: 'completed', result: 7 })
  t.same(await ended, { state: 'completed', result: 7 })
  outcomes.ends.set('id', { id: 'id', name: 'a', endedAt: 9, attempts: 0, state: 'cancelled', cause: {}, removed: true })
  t.match(await completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }).ended, { state: 'cancelled' }, 'one that waited needs no start')
  t.same(engine.events.eventNames().length, 3)
})

t.test('a job that nobody has started in time ends when its time has come, by who waits for it', async (t) => {
  const job = { queue: 'default', id: 'id', name: 'a', attempts: 1 }
  const { queue, completions, overdue } = partsOf({ state: 'waiting' })
  const expiresAt = Date.now() + 50
  const { ended } = completions.wait({ ...job, expiresAt })
  t.match(await ended, { state: 'cancelled', error: { code: 'FST_ERR_JOB_EXPIRED' } })
  t.same(overdue, ['id'])
  t.ok(Date.now() >= expiresAt && Date.now() < expiresAt + 400, 'long before the next poll')
  t.equal(queue.entries.get('id')!.state, 'failed')

  const taken = partsOf({ state: 'active' })
  const waiting = taken.completions.wait({ ...job, expiresAt: 1 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.same(taken.overdue, ['id'], 'it is another that ends it')
  waiting.abandon()
})

t.test('that nobody has started it in time is evidence for who has waited for its start alone', async (t) => {
  const { completions, outcomes } = partsOf()
  outcomes.ends.set('id', { id: 'id', name: 'a', endedAt: 9, attempts: 0, state: 'cancelled', error: { code: 'FST_ERR_JOB_EXPIRED', message: 'late' } })
  const job = { queue: 'default', id: 'id', name: 'a', attempts: 1 }
  t.match(await completions.wait({ ...job, expiresAt: 5 }).ended, { error: { code: 'FST_ERR_JOB_EXPIRED' } })
  const { ended } = completions.wait(job)
  await new Promise((resolve) => setTimeout(resolve, 100))
  outcomes.ends.set('id', { id: 'id', name: 'a', endedAt: 9, attempts: 1, state: 'completed', result: 7 })
  t.same(await ended, { state: 'completed', result: 7 })
})

t.test('a record that goes between its state and its content leaves no outcome', async (t) => {
  for (const state of ['completed', 'failed']) {
    const { queue, completions, outcomes } = partsOf({ state, finishedOn: 9 })
    queue.getJob = async () => undefined
    outcomes.ends.set('id', { name: 'a', endedAt: 9, attempts: 1, state: 'failed', error: { code: 'ERR_X', message: 'no' } })
    t.match(await completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }).ended, { state: 'failed', error: { code: 'ERR_X' } })
  }
})

t.test('a job that was retried in between is live', async (t) => {
  const { queue, completions, engine } = partsOf({ state: 'active' })
  let asked = 0
  queue.isFinished = async () => { asked++; return 2 }
  const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(asked, 1)
  engine.events.emit('completed', { queue: 'default', jobId: 'id', returnvalue: 7 })
  t.same(await ended, { state: 'completed', result: 7 })
})

t.test('a job that waited and was removed has been cancelled', async (t) => {
  const { completions } = partsOf({})
  const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
  completions.onRemoved('default', 'other', 'why not')
  completions.onRemoved('default', 'id', 'why')
  t.match(await ended, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'a' was cancelled", cause: 'why' } })
})

t.test('any number may wait for a job, and closing ends every wait', async (t) => {
  const { completions, queue } = partsOf({ id: 'id-0' }, { id: 'id-1' })
  const waits = Array.from({ length: 20 }, (_, i) => completions.wait({ queue: 'default', id: `id-${i % 2}`, name: 'a', attempts: 1 }).ended)
  completions.close()
  waits.push(completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }).ended)
  for (const { status, reason } of await Promise.allSettled(waits) as PromiseRejectedResult[]) {
    t.match({ status, reason }, { status: 'rejected', reason: { code: 'FST_ERR_JOBS_CLOSED' } })
  }
  t.same(queue.asked, [])
})

t.test('polling', async (t) => {
  const time = new FakeTime()
  t.teardown(time.restore)
  const pass = (ms: number): Promise<void> => time.pass(ms, () => {})
  /** When it is asked whether a job has ended, in ms from now on. */
  const pollsOf = (queue: MemoryQueue): number[] => {
    const polls: number[] = []
    const begun = time.now
    const { isFinished } = queue
    queue.isFinished = async (id) => { polls.push(time.now - begun); return isFinished.call(queue, id) }
    return polls
  }

  await t.test('begins at once, and happens less and less often', async (t) => {
    const { queue, completions } = partsOf({})
    const polls = pollsOf(queue)
    const { abandon } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
    await pass(32_000)
    t.same(polls, [1, 501, 1_501, 3_501, 7_501, 15_501, 23_501, 31_501])
    t.equal(time.timers.size, 1)
    abandon()
    t.equal(time.timers.size, 0)
  })

  await t.test('waits for half a second when the caller has just seen the job', async (t) => {
    const { queue, completions } = partsOf({})
    const polls = pollsOf(queue)
    const { abandon } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }, { isLive: true })
    await pass(600)
    t.same(polls, [500])
    abandon()
  })

  await t.test('goes on while the store is away', async (t) => {
    const { queue, completions } = partsOf({})
    queue.isFinished = async () => { throw new Error('away') }
    const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
    await pass(1_600)
    queue.end('id', { returnvalue: 7 })
    queue.isFinished = async () => 1
    await pass(2_000)
    t.same(await ended, { state: 'completed', result: 7 })
    t.equal(time.timers.size, 0)
  })

  await t.test('gives a job up that has neither record nor evidence for five seconds', async (t) => {
    const { completions, queue } = partsOf()
    const polls = pollsOf(queue)
    let settledAt = 0
    const begun = time.now
    const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
    const gone = t.rejects(ended.finally(() => { settledAt = time.now - begun }), { code: 'FST_ERR_JOB_RECORD_GONE', message: /'a'/ })
    await pass(6_000)
    await gone
    t.ok(settledAt >= 5_000 && settledAt < 5_600, `after ${settledAt} ms`)
    t.ok(polls.length > 5, 'it is looked for more often meanwhile')
  })

  await t.test('tells a failure by the event alone when nothing else tells of it', async (t) => {
    for (const [failedReason, expected] of [
      ['no', { state: 'failed', error: { code: 'FST_ERR_JOB_FAILED', message: 'no' } }],
      ["Job 'b' was cancelled", { state: 'failed', error: { message: "Job 'b' was cancelled" } }],
      ["Job 'a' was cancelled", { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'a' was cancelled" } }]
    ] as const) {
      const { engine, completions } = partsOf()
      const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
      engine.events.emit('failed', { queue: 'default', jobId: 'id', failedReason })
      await pass(6_000)
      t.match(await ended, expected)
    }
  })

  await t.test('forgets the event of a failure when the job is live again', async (t) => {
    const { engine, queue, completions } = partsOf({ state: 'active' })
    const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
    engine.events.emit('failed', { queue: 'default', jobId: 'id', failedReason: 'of the run before' })
    await pass(100)
    queue.entries.clear()
    const gone = t.rejects(ended, { code: 'FST_ERR_JOB_RECORD_GONE' })
    await pass(7_000)
    await gone
  })

  await t.test('knows a completed job whose result was too large to be kept, and invents none', async (t) => {
    const { completions, outcomes } = partsOf()
    outcomes.ends.set('id', { name: 'a', endedAt: 9, attempts: 1, state: 'completed', resultOmitted: true })
    const gone = t.rejects(completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 }).ended, { code: 'FST_ERR_JOB_RECORD_GONE' })
    await pass(6_000)
    await gone
  })

  await t.test('is one look for all that are due, however many wait', async (t) => {
    const { queue, completions, outcomes } = partsOf()
    const ids = Array.from({ length: 5_000 }, (_, i) => `id-${i}`)
    for (const id of ids) queue.put({ id, data: { name: id, data: {} }, state: 'active' })
    const polls = pollsOf(queue)
    const waits = ids.map((id) => completions.wait({ queue: 'default', id, name: id, attempts: 1 }))
    await pass(10)
    t.equal(polls.length, 500, 'a tenth by their records')
    t.same(outcomes.asked.map(({ length }) => length), [4_500], 'the others by what is kept of ends, at once')
    await pass(500)
    t.equal(polls.length, 1_000)
    t.equal(outcomes.asked.length, 2)
    // Those whose records are read last are found by what is kept, and that is compared with their records.
    for (const id of ids.slice(-5)) {
      queue.end(id, { returnvalue: id })
      outcomes.ends.set(id, { id, name: id, endedAt: 9, attempts: 1, state: 'completed', result: 'of a run before' })
    }
    outcomes.ends.set(ids[2_000], { id: ids[2_000], name: ids[2_000], endedAt: 9, attempts: 1, state: 'failed', error: { code: '', message: 'of a run before' } })
    await pass(1_000)
    const outcomesOf = Promise.all(waits.slice(-5).map(({ ended }) => ended))
    t.same(await outcomesOf, ids.slice(-5).map((id) => ({ state: 'completed', result: id })))
    for (const { abandon } of waits) abandon()
    t.equal(time.timers.size, 0)
  })

  await t.test('stops when the wait is abandoned in the midst of a look', async (t) => {
    const { queue, completions } = partsOf({})
    let answer = (_status: number): void => {}
    queue.isFinished = () => new Promise((resolve) => { answer = resolve })
    const { abandon } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
    await pass(5)
    abandon()
    answer(0)
    await pass(1_000)
    t.equal(time.timers.size, 0)
  })

  await t.test('does not forget who begins to wait in the midst of a look for another who has left', async (t) => {
    for (const leave of ['abandon', 'event'] as const) {
      const { queue, engine, completions } = partsOf({ state: 'active' })
      let answer = (_status: number): void => {}
      const { isFinished } = queue
      queue.isFinished = () => new Promise((resolve) => { answer = resolve })
      const first = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
      await pass(5)
      if (leave === 'abandon') first.abandon()
      else engine.events.emit('completed', { queue: 'default', jobId: 'id', returnvalue: 'early' })
      const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
      queue.end('id', failed)
      queue.isFinished = isFinished
      answer(1)
      await pass(1_000)
      t.match(await Promise.race([ended, 'nothing']), { state: 'failed' }, leave)
    }
  })

  await t.test('comes sooner for a job of which an event tells while it is being looked at', async (t) => {
    const { queue, engine, completions } = partsOf({ state: 'active' })
    let answer = (_status: number): void => {}
    const { isFinished } = queue
    queue.isFinished = () => new Promise((resolve) => { answer = resolve })
    const { ended } = completions.wait({ queue: 'default', id: 'id', name: 'a', attempts: 1 })
    await pass(5)
    queue.end('id', failed)
    engine.events.emit('removed', { queue: 'default', jobId: 'id' })
    queue.isFinished = isFinished
    answer(0)
    await pass(100)
    t.match(await ended, { state: 'failed' })
  })
})
