import t from 'tap'
import { fieldsOf, fieldsOfEnded, Job } from '../../lib/jobs/job'
import type { Stored } from '../../lib/jobs/serialization'
import { takerName } from '../../lib/jobs/taker'
import { stored } from '../fixtures/engine'

const asked: unknown[] = []
const owner = {
  wait: async (...args: unknown[]) => { asked.push(['wait', ...args]) },
  heartbeat: async (...args: unknown[]) => asked.push(['heartbeat', ...args]) > 0
}
const jobOf = (record: Stored, engineState: string): Job => new Job(fieldsOf('default', record, engineState), owner)
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
    t.equal(jobOf(stored({ data: { name: 'a', ...data } }), engineState).state, state)
  }
  const cancelled = jobOf(stored({ stacktrace: ['JobCancelled [X]: '], data: { name: 'a', cancel } }), 'failed')
  t.match(cancelled, { state: 'cancelled', error: { code: 'FST_ERR_JOB_CANCELLED', cause: 'why' } })
})

t.test('a snapshot has the reason of a cancel, while it is stopping and afterwards', async (t) => {
  const error = { error: { name: 'Error', message: 'why', code: 'E_WHY' } }
  const cancelled = { stacktrace: ['JobCancelled [X]: '] }
  for (const [engineState, data, more, reason] of [
    ['active', { cancel: { value: 'why' } }, {}, { message: 'why' }],
    ['active', { cancel: error }, {}, { message: 'why', code: 'E_WHY' }],
    ['active', { cancel: {} }, {}, undefined],
    ['active', {}, {}, undefined],
    ['failed', { cancel: { value: 'why' } }, cancelled, { message: 'why' }],
    ['failed', { cancel: error }, cancelled, { message: 'why', code: 'E_WHY' }],
    ['failed', { cancel: {} }, cancelled, undefined],
    ['failed', { cancel: error }, { failedReason: 'no' }, undefined],
    ['completed', { cancel: error }, {}, undefined]
  ] as const) {
    const job = jobOf(stored({ ...more, data: { name: 'a', ...data } } as object), engineState)
    t.same(JSON.parse(JSON.stringify(job)).reason, reason, `${engineState} ${JSON.stringify(data)}`)
  }
  const kept = { id: 'id', name: 'a', kind: 'k', state: 'cancelled', attempts: 1, createdAt: 1, endedAt: 2, error: { message: '' }, cause: { value: 'why' } } as const
  t.same(new Job(fieldsOfEnded('default', kept as never), owner).toJSON().reason, { message: 'why' })
})

t.test('a job that was never started has no start, though the engine had a process take it', async (t) => {
  const misrouted = { ...times, finishedOn: undefined, attemptsStarted: 2, data: { name: 'a', misrouted: 2 } }
  t.match(jobOf(stored(misrouted), 'delayed'), { state: 'pending', attempts: 0, startedAt: undefined })
  t.match(jobOf(stored({ ...misrouted, attemptsStarted: 3 }), 'active'), { attempts: 1, startedAt: 2 })
})

t.test('a job in the hands of a process without its kind is not running, and no start of it counts', async (t) => {
  const taken = (processedBy: string | undefined, more: object = {}): Job => jobOf(stored({ processedBy, ...more }), 'active')
  for (const name of [takerName([]), takerName(['other', 'more'])]) t.match(taken(name), { state: 'pending', attempts: 0, wasStarted: false })
  t.match(taken(takerName(['other']), { attemptsStarted: 2, attemptsMade: 1 }), { state: 'pending', attempts: 2, wasStarted: false })
  t.match(taken(takerName(['other']), { attemptsMade: 1 }), { state: 'pending', attempts: 1, wasStarted: false })
  for (const name of [takerName(['other', 'kind']), undefined, 'a worker of somebody else']) t.match(taken(name), { state: 'running', attempts: 1, wasStarted: true })
  t.equal(takerName(Array.from({ length: 101 }, String)), undefined)
})

t.test('a completed job has its result, and knows it without asking', async (t) => {
  const job = jobOf(stored({ ...times, returnvalue: 7, progress: { done: 1 } }), 'completed')
  t.strictSame({ ...job }, {
    id: 'id', name: 'a', kind: 'kind', queue: 'default', state: 'completed', progress: { done: 1 }, attempts: 1, result: 7, error: undefined, createdAt: 1, startedAt: 2, endedAt: 3
  })
  t.equal(await job.wait(), 7)
  t.equal(await job.heartbeat(), false)
  t.same(asked, [])
})

t.test('a failed job has its error, and knows it without asking', async (t) => {
  const job = jobOf(stored({ ...times, returnvalue: 7, failedReason: 'no' }), 'failed')
  t.match(job, { result: undefined, error: { message: 'no' } })
  await t.rejects(job.wait(), { message: 'no' })
  t.same(asked, [])
})

t.test('a live job asks for its end and its lease by the engine\'s id', async (t) => {
  const job = jobOf(stored({ returnvalue: 7 }), 'active')
  t.match(job, { result: undefined, error: undefined })
  await job.wait()
  t.equal(await job.heartbeat(), true)
  t.same(asked, [['wait', { queue: 'default', id: 'id', name: 'a', attempts: 1 }, {}], ['heartbeat', 'default', 'id']])
})

t.test('a job that waits will have been started once more when it ends', async (t) => {
  await jobOf(stored({ attemptsStarted: 3 }), 'waiting').wait()
  t.match(asked, [['wait', { attempts: 4 }]])
})

t.test('wait takes a signal of any realm and a time-out, and refuses what is neither', async (t) => {
  const job = jobOf(stored(), 'active')
  const signal = { aborted: false, addEventListener () {}, removeEventListener () {} } as unknown as AbortSignal
  await job.wait({ signal, timeout: 5 })
  t.same(asked, [['wait', { queue: 'default', id: 'id', name: 'a', attempts: 1 }, { signal, timeout: 5 }]])
  const ended = jobOf(stored({ ...times, returnvalue: 7 }), 'completed')
  for (const [options, named] of [[{ timeout: -1 }, /'timeout'/], [{ signal: {} }, /'signal'/], [{ signal: null }, /'signal'/], [{ other: 1 }, /'other'/], [7, /'options'/]] as any[]) {
    for (const one of [job, ended]) await t.rejects(one.wait(options), { code: /^FST_ERR_JOB_INVALID/, message: named })
  }
})

t.test('a job of which only its end is known has what is kept of it', async (t) => {
  const ended = { id: 'id', name: 'a', kind: 'kind', attempts: 1, createdAt: 1, startedAt: 2, endedAt: 3 }
  const failed = new Job(fieldsOfEnded('default', { ...ended, state: 'failed', error: { code: 'E', message: 'no' } }), owner)
  t.match(failed.toJSON(), { ...ended, queue: 'default', state: 'failed', error: { code: 'E', message: 'no' } })
  await t.rejects(failed.wait(), { code: 'E' })
  const omitted = new Job(fieldsOfEnded('default', { ...ended, state: 'completed', resultOmitted: true }), owner)
  t.match(omitted, { state: 'completed', result: undefined })
})

t.test('a snapshot has the lease while the job is live, the error\'s code and message, and not the result', async (t) => {
  const leased = { data: { name: 'a', ttl: 50 } }
  t.strictSame(jobOf(stored({ ...leased, timestamp: 1 }), 'waiting').toJSON(), {
    id: 'id', name: 'a', kind: 'kind', queue: 'default', state: 'pending', progress: undefined, attempts: 1, createdAt: 1, startedAt: undefined, endedAt: undefined, lease: { ttl: 50 }, reason: undefined, error: undefined
  })
  t.equal(jobOf(stored(), 'waiting').toJSON().lease, undefined)
  const ended = jobOf(stored({ ...leased, ...times, failedReason: 'no' }), 'failed').toJSON()
  t.strictSame([ended.lease, ended.error], [undefined, { code: 'FST_ERR_JOB_FAILED', message: 'no' }])
  t.notOk('result' in jobOf(stored({ ...times, returnvalue: 7 }), 'completed').toJSON())
})
