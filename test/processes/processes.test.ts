import t from 'tap'
import { untilAborted } from '../fixtures/app'
import { members } from '../fixtures/processes'

t.test('a task is found, renewed and cancelled through another process', async (t) => {
  const [a, b] = await members(t, 2)
  b.app.addTask(untilAborted, { name: 'x', ttl: 10_000 })
  t.match((await a.backend.list({ limit: 10 })).tasks, [{ name: 'x', process: { id: b.id } }])
  await a.backend.heartbeat('x')
  t.match(await a.backend.get('x'), { name: 'x', state: 'running', process: { id: b.id } })
  t.match(await a.backend.cancel('x'), { state: 'cancelled' })
  t.equal(b.app.getTask('x')!.state, 'cancelled')
  await t.rejects(a.backend.cancel('x'), { code: 'FST_ERR_TASK_NOT_LIVE', statusCode: 409 })
  await t.rejects(a.backend.cancel('y'), { code: 'FST_ERR_TASK_NOT_FOUND', statusCode: 404 })
  t.same(await a.backend.purge(), { purged: 1 })
})
