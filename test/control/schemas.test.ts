import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { errorSchema, publicSnapshot } from '../../lib/control/schemas'
import { feedMessageSchema, jobSnapshotSchema, snapshotSchema } from '../../lib/control/snapshot-schema'
import { STATES } from '../../lib/shared/control-backend'

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

t.test('publicSnapshot omits error messages in a copy, unless they are exposed', async (t) => {
  t.same(publicSnapshot(task, false), { ...task, error: { code: 'E_A' } })
  t.equal(publicSnapshot(task, true), task)
  const fine: Partial<typeof task> = { name: 'a' }
  t.equal(publicSnapshot(fine, false), fine)
  t.same(task.error, { code: 'E_A', message: 'why' })
})
