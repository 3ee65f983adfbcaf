import t from 'tap'
import { FST_ERR_JOB_CANCEL_TIMEOUT } from '../../lib/shared/errors'
import { createJobsBackend } from '../../lib/jobs/control-backend'
import type { JobRegistry } from '../../lib/jobs/registry'

const jobOf = (more: object = {}): any => {
  const job = { name: 'a', state: 'running', createdAt: 1, ...more }
  return { ...job, heartbeat: async () => true, toJSON: () => job }
}

const sourceOf = (registry: object): ReturnType<typeof createJobsBackend> => createJobsBackend(() => registry as unknown as JobRegistry)

/** Answers with each of these in turn. */
const inTurn = (...answers: unknown[]) => async () => answers.shift()

t.test('every job is listed, live and ended, or those in a state', async (t) => {
  const asked: unknown[] = []
  const source = sourceOf({
    async * list (states: unknown) {
      asked.push(states)
      yield jobOf()
      yield jobOf({ name: 'b', state: 'completed' })
    }
  })
  t.match(await source.list({ limit: 10 }), { tasks: [{ name: 'a' }, { name: 'b' }] })
  t.match(await source.list({ limit: 10, states: ['completed'] }), { tasks: [{ name: 'b' }] })
  t.same(await source.list({ limit: 10, states: ['failed'] }), { tasks: [] })
  t.same(asked[0], ['delayed', 'prioritized', 'waiting', 'active', 'completed', 'failed'])
})

t.test('a job is read by its name, if there is one', async (t) => {
  const source = sourceOf({ get: async (name: string) => name === 'a' ? jobOf() : undefined })
  t.match(await source.get('a'), { name: 'a', state: 'running' })
  for (const verb of ['get', 'cancel', 'heartbeat'] as const) {
    await t.rejects(async () => source[verb]('nobody'), { code: 'FST_ERR_JOB_NOT_FOUND', message: "Job 'nobody' was not found" })
  }
})

t.test('a cancel answers with the job as it is then', async (t) => {
  const cancelled: string[] = []
  const cancel = async (name: string): Promise<boolean> => cancelled.push(name) > 0
  t.match(await sourceOf({ get: inTurn(jobOf(), jobOf({ state: 'cancelled', endedAt: 2 })), cancel }).cancel('a'), { state: 'cancelled', endedAt: 2 })
  t.same(cancelled, ['a'])
})

t.test('a cancel of a job that waited answers with the job that was, even when its name has been taken again', async (t) => {
  const cancel = async (): Promise<boolean> => true
  for (const now of [undefined, jobOf({ createdAt: 2 })]) {
    t.match(await sourceOf({ get: inTurn(jobOf({ state: 'pending' }), now), cancel }).cancel('a'), { name: 'a', createdAt: 1, state: 'cancelled', endedAt: Number })
  }
})

t.test('a cancel that takes too long answers with the job that is still stopping', async (t) => {
  const cancel = async (): Promise<never> => { throw new FST_ERR_JOB_CANCEL_TIMEOUT('a', 5) }
  t.match(await sourceOf({ get: inTurn(jobOf(), jobOf({ state: 'cancelling' })), cancel }).cancel('a'), { state: 'cancelling' })
})

t.test('a cancel throws what goes wrong', async (t) => {
  await t.rejects(sourceOf({ get: inTurn(jobOf()), cancel: async () => { throw new Error('away') } }).cancel('a'), { message: 'away' })
})

t.test('a job that has ended is neither cancelled nor renewed', async (t) => {
  const source = sourceOf({ get: async () => jobOf({ state: 'completed', endedAt: 2 }) })
  for (const verb of ['cancel', 'heartbeat'] as const) {
    await t.rejects(async () => source[verb]('a'), { code: 'FST_ERR_JOB_NOT_LIVE', message: "Job 'a' is no longer live: completed" })
  }
})

t.test('a job that ends before its cancel is no longer live, in the state that it came to', async (t) => {
  const cancel = async (): Promise<boolean> => false
  for (const [now, state] of [[jobOf({ state: 'failed' }), 'failed'], [undefined, 'completed']]) {
    await t.rejects(sourceOf({ get: inTurn(jobOf(), now), cancel }).cancel('a'), { code: 'FST_ERR_JOB_NOT_LIVE', message: `Job 'a' is no longer live: ${state}` })
  }
})

t.test('a lease is renewed if there is one, and its job goes on', async (t) => {
  const leased = jobOf({ lease: { ttl: 5 } })
  const heartbeat = async (job: object): Promise<void> => { await sourceOf({ get: async () => job }).heartbeat('a') }
  await t.resolves(heartbeat(leased))
  await t.rejects(heartbeat({ ...leased, heartbeat: async () => false }), { code: 'FST_ERR_JOB_NOT_LIVE', message: "Job 'a' is no longer live: running" })
  await t.rejects(heartbeat(jobOf()), { code: 'FST_ERR_JOB_NO_LEASE', message: /'a'/ })
})

t.test('jobs are added and purged as an app does it', async (t) => {
  const added: unknown[] = []
  const source = sourceOf({ purge: async () => 3, add: async (...args: unknown[]) => { added.push(args); return jobOf() } })
  t.same(await source.purge(), { purged: 3 })
  t.match(await source.add!('kind', { id: 1 }, { name: 'a' }), { name: 'a' })
  t.same(added, [['kind', { id: 1 }, { name: 'a' }]])
})
