/** What a client sees of several processes. */
import mqemitter from 'mqemitter'
import t from 'tap'
import tasksRoutes from '../../lib/control/routes'
import { appWithTasks, ended, ignoresSignal, untilAborted } from '../fixtures/app'
import { fakePeer } from '../fixtures/processes'
import type { Test } from 'tap'

async function served (t: Test, emitter: ReturnType<typeof mqemitter>) {
  const app = await appWithTasks(t, { emitter, peerTimeout: 300 })
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object): Promise<{ status: number, body: any }> => {
    const { statusCode, body } = await app.inject({ method, url: `/tasks${url}`, payload })
    return { status: statusCode, body: body === '' ? undefined : JSON.parse(body) }
  }
  const { body: { summary } } = await ask('GET', '/?summary=true')
  return { app, ask, id: summary.process.id as string }
}

t.test('each route reaches the process that has the task', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  b.app.addTask(untilAborted, { name: 'x', ttl: 60_000 })
  b.app.addTask(ignoresSignal, { name: 'ignoresSignal' })
  t.match(await a.ask('GET', '/x'), { status: 200, body: { state: 'running', process: { id: b.id } } })
  t.equal((await a.ask('POST', '/x/heartbeat')).status, 204)
  t.equal((await a.ask('POST', '/ignoresSignal/heartbeat')).status, 409)
  t.match(await a.ask('DELETE', '/x'), { status: 200, body: { state: 'cancelled', process: { id: b.id } } })
  t.equal((await a.ask('DELETE', '/x')).status, 409)
  t.match(await a.ask('DELETE', '/ignoresSignal'), { status: 202, body: { state: 'cancelling' } })
  t.equal((await a.ask('DELETE', '/nobody')).status, 404)
  t.equal((await a.ask('POST', '/nobody/heartbeat')).status, 404)
  t.equal((await a.ask('GET', `/x?process=${a.id}`)).status, 404)
  t.same((await a.ask('POST', '/cancel', { prefix: 'ignores' })).body, { cancelled: 0, remaining: ['ignoresSignal'] })
  t.equal((await a.ask('POST', '/cancel', { process: b.id })).status, 400)
  t.same((await a.ask('POST', `/purge?process=${a.id}`)).body, { purged: 0 })
  t.same((await a.ask('POST', '/purge')).body, { purged: 1 })
})

t.test('a list has the tasks of all processes, or of one', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  for (const { app } of [a, b]) await ended(app.addTask(async () => {}, { name: 'x' }))
  const { body } = await a.ask('GET', '/?limit=1&summary=true')
  t.equal(body.tasks.length, 1)
  t.match(body.summary, { counts: { completed: 2 }, process: { id: a.id } })
  t.equal(body.summary.processes.length, 2)
  const { body: rest } = await a.ask('GET', `/?limit=1&after=${body.next}`)
  t.same([...body.tasks, ...rest.tasks].map(({ process }: any) => process.id).sort(), [a.id, b.id].sort())
  t.match((await a.ask('GET', `/?process=${b.id}`)).body.tasks, [{ process: { id: b.id } }])
  t.equal((await a.ask('GET', '/?after=x')).status, 400)
  t.same((await a.ask('GET', '/?process=nobody')).body, { tasks: [], missing: ['nobody'] })
})

t.test('a process that does not answer is named, and waited for once', async (t) => {
  const emitter = mqemitter()
  const a = await served(t, emitter)
  const peer = fakePeer(emitter, 'silent')
  t.teardown(() => peer.leave())
  peer.answer = () => ['']
  a.app.addTask(untilAborted, { name: 'x', ttl: 60_000 })
  const startedAt = Date.now()
  t.match((await a.ask('GET', '/?summary=true')).body, { tasks: [{ name: 'x' }], missing: ['silent'], summary: { missing: ['silent'] } })
  t.ok(Date.now() - startedAt < 590)
  t.match(await a.ask('GET', '/y'), { status: 503, body: { code: 'FST_ERR_TASK_OUT_OF_REACH', missing: ['silent'] } })
  t.equal((await a.ask('POST', '/y/heartbeat')).status, 503)
  // What is here is not waited for.
  t.match(await a.ask('GET', '/x'), { status: 200, body: { missing: undefined } })
  t.equal((await a.ask('POST', '/x/heartbeat')).status, 204)
  t.match(await a.ask('DELETE', '/x'), { status: 200, body: { state: 'cancelled', missing: ['silent'] } })
  t.match((await a.ask('POST', '/purge')).body, { purged: 1, missing: ['silent'] })
})

t.test('names that are not valid in a topic work', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  for (const name of ['#', '+', 'a/#', 'x/+/y', '%', '*', '"', '\u202e', '\0', 'ä'.repeat(500), '__proto__', 'constructor']) {
    b.app.addTask(untilAborted, { name })
    t.match(await a.ask('GET', `/${encodeURIComponent(name)}`), { status: 200, body: { name } })
    t.match(await a.ask('DELETE', `/${encodeURIComponent(name)}`), { status: 200, body: { state: 'cancelled' } })
  }
})

t.test('a query without a match, or with unknown parameters, is answered by all', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  await ended(b.app.addTask(async () => {}, { name: 'x' }))
  t.same((await a.ask('GET', '/?group=')).body, { tasks: [] })
  for (const query of ['token=secret', '_=1', 'state[]=running', '__proto__=x']) {
    const { body } = await a.ask('GET', `/?${query}`)
    t.match(body, { tasks: [{ name: 'x', process: { id: b.id } }], missing: undefined }, query)
  }
})
