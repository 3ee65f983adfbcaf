import t from 'tap'
import { Job } from '../../lib/jobs/job'
import { stored } from '../fixtures/engine'

const asked: unknown[] = []
const owner = {
  wait: async (...args: unknown[]) => { asked.push(['wait', ...args]) },
  heartbeat: async (...args: unknown[]) => asked.push(['heartbeat', ...args]) > 0
}
t.beforeEach(() => { asked.length = 0 })

const times = { timestamp: 1, processedOn: 2, finishedOn: 3 }

t.test('the six states are told from the engine\'s', async (t) => {
  const cancel = { value: 'why' }
  for (const [engineState, data, state] of [
    ['waiting', {}, 'pending'],
    ['delayed', { cancel }, 'pending'],
    ['prioritized', {}, 'pending'],
    ['active', {}, 'running'],
    ['active', { cancel: {} }, 'cancelling'],
    ['completed', { cancel }, 'completed'],
    ['failed', { cancel }, 'failed']
  ] as const) {
    t.equal(new Job('default', stored({ data: { name: 'a', ...data } }), engineState, owner).state, state)
  }
  const cancelled = new Job('default', stored({ stacktrace: ['JobCancelled [X]: '], data: { name: 'a', cancel } }), 'failed', owner)
  t.match(cancelled, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', cause: 'why' } })
})

t.test('a job that was never started has no start, though the engine had a process take it', async (t) => {
  const misrouted = { ...times, finishedOn: undefined, attemptsStarted: 2, data: { name: 'a', misrouted: 2 } }
  t.match(new Job('default', stored(misrouted), 'delayed', owner), { state: 'pending', attempts: 0, startedAt: undefined })
  t.match(new Job('default', stored({ ...misrouted, attemptsStarted: 3 }), 'active', owner), { attempts: 1, startedAt: 2 })
})

t.test('a completed job has its result, and knows it without asking', async (t) => {
  const job = new Job('default', stored({ ...times, returnvalue: 7, progress: { done: 1 } }), 'completed', owner)
  t.strictSame({ ...job }, {
    name: 'a', kind: 'kind', state: 'completed', progress: { done: 1 }, attempts: 1, result: 7, error: undefined, createdAt: 1, startedAt: 2, endedAt: 3
  })
  t.equal(await job.wait(), 7)
  t.equal(await job.heartbeat(), false)
  t.same(asked, [])
})

t.test('a failed job has its error, and knows it without asking', async (t) => {
  const job = new Job('default', stored({ ...times, returnvalue: 7, failedReason: 'no' }), 'failed', owner)
  t.match(job, { result: undefined, error: { message: 'no' } })
  await t.rejects(job.wait(), { message: 'no' })
  t.same(asked, [])
})

t.test('a live job asks for its end and its lease by the engine\'s id', async (t) => {
  const job = new Job('default', stored({ returnvalue: 7 }), 'active', owner)
  t.match(job, { result: undefined, error: undefined })
  await job.wait()
  t.equal(await job.heartbeat(), true)
  t.same(asked, [['wait', 'id', 'a'], ['heartbeat', 'id']])
})

t.test('a snapshot has the lease while the job is live, the error\'s code and message, and not the result', async (t) => {
  const leased = { data: { name: 'a', ttl: 50 } }
  t.strictSame(new Job('default', stored({ ...leased, timestamp: 1 }), 'waiting', owner).toJSON(), {
    name: 'a', kind: 'kind', state: 'pending', progress: undefined, attempts: 1, createdAt: 1, startedAt: undefined, endedAt: undefined, lease: { ttl: 50 }, error: undefined
  })
  t.equal(new Job('default', stored(), 'waiting', owner).toJSON().lease, undefined)
  const ended = new Job('default', stored({ ...leased, ...times, failedReason: 'no' }), 'failed', owner).toJSON()
  t.strictSame([ended.lease, ended.error], [undefined, { code: 'FST_ERR_JOB_FAILED', message: 'no' }])
  t.notOk('result' in new Job('default', stored({ ...times, returnvalue: 7 }), 'completed', owner).toJSON())
})
