import t from 'tap'
import { CompletionWaiter } from '../../lib/jobs/completions'
import { fakeEngine, stored } from '../fixtures/engine'
import { FakeTime } from '../fixtures/fake-time'

t.test('who waits is told by the first event', async (t) => {
  const engine = fakeEngine({ getJob: async () => stored() })
  const completions = new CompletionWaiter(engine)
  const { ended } = completions.wait('default', 'id', 'a')
  const other = completions.wait('default', 'other', 'b')
  engine.events.emit('completed', { jobId: 'id', returnvalue: 'early' })
  engine.events.emit('completed', { jobId: 'id', returnvalue: 'late' })
  t.same(await ended, { state: 'completed', result: 'early' })
  engine.events.emit('completed', { jobId: 'other', returnvalue: 'other' })
  t.same(await other.ended, { state: 'completed', result: 'other' })
})

t.test('who waits reads how the job ended when no event tells', async (t) => {
  for (const [failed, expected] of [[false, { state: 'completed', result: 7 }], [true, { state: 'failed', error: { message: 'no' } }]] as const) {
    const job = stored({ finishedOn: 1, returnvalue: 7, failedReason: 'no', isFailed: async () => failed })
    t.match(await new CompletionWaiter(fakeEngine({ getJob: async (id: string) => id === 'id' ? job : undefined })).wait('default', 'id', 'a').ended, expected)
  }
})

t.test('a failure is read when an event tells of it, if anyone waits', async (t) => {
  let job = stored()
  const asked: string[] = []
  const engine = fakeEngine({ getJob: async (id: string) => { asked.push(id); return job } })
  const completions = new CompletionWaiter(engine)
  engine.events.emit('failed', { jobId: 'id' })
  t.same(asked, [])
  const { ended } = completions.wait('default', 'id', 'a')
  await new Promise(setImmediate)
  t.same(asked, ['id'])
  job = stored({ finishedOn: 1, failedReason: 'no', isFailed: async () => true })
  engine.events.emit('failed', { jobId: 'id' })
  // Long before it would be looked at again.
  t.match(await Promise.race([ended, new Promise(setImmediate)]), { state: 'failed', error: { message: 'no' } })
})

t.test('a failure of which no record is left is told by its event', async (t) => {
  const engine = fakeEngine({ getJob: async () => undefined })
  for (const [failedReason, expected] of [
    ['no', { state: 'failed', error: { code: 'FST_ERR_JOB_FAILED', message: 'no' } }],
    ["Job 'a' was cancelled", { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'a' was cancelled" } }]
  ] as const) {
    const { ended } = new CompletionWaiter(engine).wait('default', 'id', 'a')
    engine.events.emit('failed', { jobId: 'id', failedReason })
    t.match(await ended, expected)
  }
})

t.test('nobody waits once it is closed', async (t) => {
  const completions = new CompletionWaiter(fakeEngine({ getJob: async () => t.fail('it was looked at') }))
  completions.close()
  await t.rejects(completions.wait('default', 'id', 'a').ended, { code: 'FST_ERR_JOBS_CLOSED' })
})

t.test('a job that was removed has been cancelled; one that is only told to stop has not', async (t) => {
  const engine = fakeEngine({ getJob: async () => stored() })
  const { ended } = new CompletionWaiter(engine).wait('default', 'id', 'a')
  engine.events.emit('cancel', { jobId: 'id', reason: '{"value":"told"}' })
  engine.events.emit('cancel', { jobId: 'id', reason: '{"value":"why"}', removed: 'a' })
  t.match(await ended, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'a' was cancelled", cause: 'why' } })
})

t.test('any number may wait, and closing ends every wait', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const completions = new CompletionWaiter(fakeEngine({ getJob: async () => stored() }))
  const waits = Array.from({ length: 20 }, (_, i) => completions.wait('default', `id-${i % 2}`, 'a').ended)
  completions.close()
  for (const { status, reason } of await Promise.allSettled(waits) as PromiseRejectedResult[]) {
    t.match({ status, reason }, { status: 'rejected', reason: { code: 'FST_ERR_JOBS_CLOSED' } })
  }
  await new Promise(setImmediate)
  t.same(warnings, [])
})

t.test('looking', async (t) => {
  const time = new FakeTime()
  t.teardown(time.restore)
  const looks: number[] = []
  const start = async (answer: () => unknown): Promise<ReturnType<CompletionWaiter['wait']>> => {
    looks.length = 0
    const begun = time.now
    const wait = new CompletionWaiter(fakeEngine({
      getJob: async () => {
        looks.push(time.now - begun)
        return answer()
      }
    })).wait('default', 'id', 'a')
    await time.settle()
    return wait
  }
  const pass = (ms: number): Promise<void> => time.pass(ms, () => {})

  await t.test('goes on at once, and then less and less often', async (t) => {
    const { abandon } = await start(() => stored())
    await pass(40_000)
    t.same(looks, [0, 500, 1_500, 3_500, 7_500, 15_500, 23_500, 31_500, 39_500])
    t.equal(time.timers.size, 1)
    abandon()
    t.equal(time.timers.size, 0)
  })

  await t.test('goes on while the store is away', async (t) => {
    let away = true
    const { ended } = await start(() => {
      if (away) throw new Error('away')
      return stored({ finishedOn: 1, returnvalue: 7, isFailed: async () => false })
    })
    await pass(1_600)
    t.same(looks, [0, 500, 1_500])
    away = false
    await pass(2_000)
    t.same(await ended, { state: 'completed', result: 7 })
    t.equal(time.timers.size, 0)
  })

  await t.test('takes a record for gone when it is so twice', async (t) => {
    let settled = false
    const { ended } = await start(() => undefined)
    const outcome = ended.finally(() => { settled = true })
    await pass(499)
    t.notOk(settled)
    await pass(1)
    t.ok(settled)
    t.match(await outcome, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', message: "Job 'a' was cancelled", cause: { message: 'The record of the job is gone' } } })
    await pass(5_000)
    t.same(looks, [0, 500])
  })

  await t.test('stops at once when it is abandoned, in the midst of a look too', async (t) => {
    let answer = (): void => {}
    const { abandon } = await start(() => new Promise<void>((resolve) => { answer = resolve }))
    abandon()
    answer()
    await pass(1_000)
    t.same(looks, [0])
    t.equal(time.timers.size, 0)
  })

  await t.test('stops when an event has told', async (t) => {
    const engine = fakeEngine({ getJob: async () => { looks.push(0); return stored() } })
    looks.length = 0
    const { ended } = new CompletionWaiter(engine).wait('default', 'id', 'a')
    await time.settle()
    engine.events.emit('completed', { jobId: 'id', returnvalue: 7 })
    await ended
    t.equal(time.timers.size, 0)
    await pass(1_000)
    t.same(looks, [0])
  })
})

t.test('a failure that cannot be read yet is found by looking, and is no unhandled rejection', async (t) => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', onUnhandled)
  t.teardown(() => process.off('unhandledRejection', onUnhandled))
  for (const record of [new Error('away'), stored()]) {
    const engine = fakeEngine({
      getJob: async () => {
        if (record instanceof Error) throw record
        return record
      }
    })
    const { ended, abandon } = new CompletionWaiter(engine).wait('default', 'id', 'a')
    let told = false
    ended.finally(() => { told = true })
    engine.events.emit('failed', { jobId: 'id', failedReason: 'why' })
    await new Promise((resolve) => setTimeout(resolve, 5))
    t.notOk(told)
    abandon()
  }
  t.same(unhandled, [])
})
