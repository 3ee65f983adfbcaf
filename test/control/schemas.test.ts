import Fastify from 'fastify'
import t, { type Test } from 'tap'
import tasksRoutes from '../../lib/control/routes'
import { cancelBodySchema, cancelledSchema, errorSchema, pageSchema, publicSnapshot, purgedSchema, queueBodySchema } from '../../lib/control/schemas'
import { feedMessageSchema, jobSnapshotSchema, snapshotSchema } from '../../lib/control/snapshot-schema'
import { kJobsControlBackend, STATES } from '../../lib/shared/control-backend'
import { appWithTasks } from '../fixtures/app'

/** What the validator of a route says of a body, without changing it. */
async function validator (t: Test, schema: object): Promise<(body: object) => Promise<number>> {
  const app = Fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } })
  t.teardown(() => app.close())
  app.post('/', { schema: { body: schema } }, async () => 'valid')
  return async (body) => (await app.inject({ method: 'POST', url: '/', payload: body })).statusCode
}

const task = {
  name: 'a',
  state: 'cancelled',
  createdAt: 1,
  startedAt: 2,
  endedAt: 3,
  progress: { rows: [1] },
  lease: { ttl: 5, remaining: 4 },
  error: { code: 'E_A', message: 'why' }
}

t.test('the schema of a feed message accepts every message that is sent, and no message with a missing or wrong member', async (t) => {
  const status = await validator(t, feedMessageSchema)
  for (const event of ['snapshot', 'start', 'progress', 'end']) t.equal(await status({ event, task }), 200, event)
  for (const state of ['pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled']) t.equal(await status({ event: 'end', task: { ...task, state } }), 200, state)
  t.equal(await status({ event: 'end', task: { name: 'a', state: 'failed', createdAt: 1, progress: 100, lease: { ttl: 5 }, error: {} } }), 200)
  for (const wrong of [{ event: 'stop', task }, { task }, { event: 'end' }, { event: 'end', task: [] }]) t.equal(await status(wrong), 400, JSON.stringify(wrong))
  for (const part of [
    { name: undefined }, { name: 1 }, { state: undefined }, { state: 'asleep' }, { createdAt: undefined }, { createdAt: 1.5 }, { startedAt: 'now' },
    { endedAt: null }, { progress: -1 }, { progress: 101 }, { progress: 'half' }, { lease: 5 }, { lease: {} }, { lease: { ttl: 'long' } },
    { lease: { ttl: 5, remaining: 'some' } }, { error: 'why' }, { error: { code: 7 } }, { error: { message: 8 } }
  ]) t.equal(await status({ event: 'end', task: { ...task, ...part } }), 400, JSON.stringify(part))
})

t.test('a job is a task with its kind and its attempts', async (t) => {
  const status = await validator(t, jobSnapshotSchema)
  const job = { ...task, kind: 'k', attempts: 2 }
  t.equal(await status(job), 200)
  for (const part of [{ name: undefined }, { kind: undefined }, { kind: 1 }, { attempts: undefined }, { attempts: 'two' }]) {
    t.equal(await status({ ...job, ...part }), 400, JSON.stringify(part))
  }
})

t.test('the states are those of a task, in order', async (t) => {
  t.same(STATES, ['pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled'])
})

t.test('members whose name does not explain them have a description', async (t) => {
  const { createdAt, startedAt, endedAt, progress, lease, error } = snapshotSchema.properties
  for (const time of [createdAt, startedAt, endedAt]) t.match(time.description, /^When it \w.*, in ms since the epoch$/)
  for (const { description } of [progress, lease, error, feedMessageSchema.properties.event]) t.match(description, /^.{20,}$/)
})

t.test('the schema of an error accepts what Fastify sends, and more', async (t) => {
  const schema = errorSchema('Unknown')
  t.equal(schema.description, 'Unknown')
  const status = await validator(t, schema)
  const error = { statusCode: 404, code: 'E_A', error: 'Not Found', message: 'why' }
  t.equal(await status({ ...error, extra: 1 }), 200)
  t.equal(await status({ ...error, code: undefined }), 200)
  for (const part of [{ statusCode: undefined }, { error: undefined }, { message: undefined }, { statusCode: 'x' }, { code: 1 }, { error: 1 }, { message: 1 }]) {
    t.equal(await status({ ...error, ...part }), 400, JSON.stringify(part))
  }
})

/** The same schema, which takes no member that it does not describe. */
function strict (schema: any): any {
  const { properties, items, additionalProperties = properties === undefined ? undefined : false, ...rest } = schema
  return {
    ...rest,
    ...additionalProperties !== undefined && { additionalProperties },
    ...properties && { properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, strict(part)])) },
    ...items && { items: strict(items) }
  }
}

t.test('the schema of a page describes every member of it', async (t) => {
  const status = await validator(t, strict(pageSchema(snapshotSchema)))
  const counts = Object.fromEntries(STATES.map((state) => [state, 1]))
  const process = { id: 'p', pid: 1, hostname: 'h', uptime: 5, heapUsed: 6, eventLoopDelay: 0.5 }
  const queue = { queue: 'default', paused: false, counts: { waiting: 1 } }
  const schedule = { name: 'nightly', kind: 'k', queue: 'default', pattern: '0 3 * * *', every: 5, tz: 'Europe/Berlin', next: 7 }
  const summary = { counts, groups: [{ group: 'a', counts }], process, processes: [process], queues: [queue], schedules: [schedule] }
  const page = { tasks: [task], next: 'cursor', summary, missing: ['p'] }
  t.equal(await status(page), 200)
  t.equal(await status({ tasks: [] }), 200)
  for (const part of [{ tasks: undefined }, { tasks: task }, { tasks: [{}] }, { next: 1 }, { missing: 'p' }, { missing: [1] }, { more: 1 }]) {
    t.equal(await status({ ...page, ...part }), 400, JSON.stringify(part))
  }
  for (const part of [
    { counts: undefined }, { counts: { running: 'x' } }, { counts: { asleep: 1 } }, { groups: undefined }, { groups: ['a'] }, { groups: [{ group: 1 }] },
    { groups: [{ size: 1 }] }, { groups: [{ counts: { asleep: 1 } }] }, { process: undefined }, { process: { ...process, uptime: 'long' } },
    { process: { ...process, heapUsed: 0.5 } }, { process: { ...process, eventLoopDelay: 'none' } }, { process: { ...process, load: 1 } }, { processes: [1] },
    { queues: [1] }, { queues: [{ ...queue, queue: 1 }] }, { queues: [{ ...queue, paused: 'yes' }] }, { queues: [{ ...queue, counts: { waiting: 'x' } }] },
    { queues: [{ ...queue, counts: 1 }] }, { schedules: [1] },
    ...Object.keys(schedule).map((key) => ({ schedules: [{ ...schedule, [key]: {} }] })), { schedules: [{ ...schedule, cron: '' }] }
  ]) t.equal(await status({ ...page, summary: { ...summary, ...part } }), 400, JSON.stringify(part))
})

t.test('the schemas of the other answers describe every member of them', async (t) => {
  const cancelled = await validator(t, strict(cancelledSchema))
  const purged = await validator(t, strict(purgedSchema))
  t.equal(await cancelled({ cancelled: 1, remaining: ['a'], missing: ['p'] }), 200)
  for (const part of [{ cancelled: undefined }, { cancelled: 'one' }, { remaining: undefined }, { remaining: [1] }, { missing: [1] }, { more: 1 }]) {
    t.equal(await cancelled({ cancelled: 1, remaining: [], ...part }), 400, JSON.stringify(part))
  }
  t.equal(await purged({ purged: 1, missing: ['p'] }), 200)
  for (const part of [{ purged: undefined }, { purged: 'all' }, { missing: 'p' }, { more: 1 }]) t.equal(await purged({ purged: 1, ...part }), 400, JSON.stringify(part))
})

t.test('a route takes the bodies that its schema describes, and no others', async (t) => {
  const app = await appWithTasks(t)
  const done = async (): Promise<void> => {}
  app.decorate(kJobsControlBackend, { pause: done, resume: done })
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
  const long = 'x'.repeat(1_000)
  const many = Array.from({ length: 1_000 }, () => 'a')
  for (const { url, schema, filter, valid, invalid } of [
    {
      url: '/tasks/cancel',
      schema: cancelBodySchema,
      filter: { group: 'nobody' },
      valid: [{ state: ['running', 'pending'] }, { prefix: 'a' }, { q: long }, { names: many }, { process: 'p' }, { reason: long }],
      invalid: [
        { group: '' }, { group: 1 }, { state: [] }, { state: ['asleep'] }, { state: [1] }, { prefix: '' }, { prefix: 1 }, { q: '' }, { q: `${long}x` }, { q: 1 },
        { names: [] }, { names: [...many, 'a'] }, { names: [1, 'a'] }, { names: ['a', 1] }, { process: 1 }, { process: '' }, { state: Array.from({ length: 7 }, () => 'running') }, { reason: '' }, { reason: `${long}x` }, { reason: 1 }, { grp: 'a' }
      ]
    },
    { url: '/jobs/pause', schema: queueBodySchema, filter: {}, valid: [{}, { queue: 'default' }], invalid: [{ queue: 1 }, { queue: '' }, { que: 'default' }] }
  ]) {
    const status = await validator(t, schema)
    const answer = async (payload: object): Promise<number> => (await app.inject({ method: 'POST', url, payload })).statusCode
    for (const part of valid) t.same([await status({ ...filter, ...part }), await answer({ ...filter, ...part }) < 300], [200, true], JSON.stringify(part).slice(0, 50))
    for (const part of invalid) t.same([await status({ ...filter, ...part }), await answer({ ...filter, ...part })], [400, 400], JSON.stringify(part).slice(0, 50))
  }
})

t.test('publicSnapshot omits error messages in a copy, unless they are exposed', async (t) => {
  t.same(publicSnapshot(task, false), { ...task, error: { code: 'E_A' } })
  t.equal(publicSnapshot(task, true), task)
  const fine: Partial<typeof task> = { name: 'a' }
  t.equal(publicSnapshot(fine, false), fine)
  t.same(task.error, { code: 'E_A', message: 'why' })
})
