import type { FastifyInstance } from 'fastify'
import t from 'tap'
import tasksRoutes from '../../lib/control/routes'
import { appWithTasks, untilAborted } from '../fixtures/app'

/** Walks all pages. */
async function walk (app: FastifyInstance, query: string): Promise<string[][]> {
  const pages: string[][] = []
  let after = ''
  do {
    const { tasks, next } = (await app.inject(`/tasks?${query}${after}`)).json()
    pages.push(tasks.map(({ name }: { name: string }) => name))
    after = next === undefined ? '' : `&after=${encodeURIComponent(next)}`
  } while (after !== '')
  return pages
}

t.test('the list comes in pages, the newest first', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  for (let i = 0; i < 250; i++) app.addTask(untilAborted, { name: `t-${i}` })
  const names = Array.from({ length: 250 }, (_, i) => `t-${249 - i}`)
  t.same(await walk(app, ''), [names.slice(0, 100), names.slice(100, 200), names.slice(200)])
  t.same(await walk(app, 'limit=125'), [names.slice(0, 125), names.slice(125)])
  t.same(await walk(app, 'limit=1000'), [names])
  t.same((await walk(app, 'limit=7')).flat(), names)
})

t.test('a task that is live throughout is in exactly one page, while others come and go', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  for (let i = 0; i < 300; i++) app.addTask(untilAborted, { name: i % 3 === 0 ? `keep-${i}` : undefined })
  const seen: string[] = []
  let after = ''
  do {
    const { tasks, next } = (await app.inject(`/tasks?limit=17${after}`)).json()
    seen.push(...tasks.map(({ name }: { name: string }) => name))
    for (let i = 0; i < 10; i++) app.addTask(untilAborted)
    const victims = [...app.tasks].filter(({ name }) => !name.startsWith('keep-'))
    for (let i = 0; i < 25; i++) victims[Math.floor(i * victims.length / 25)].cancel()
    await new Promise((resolve) => setImmediate(resolve))
    after = next === undefined ? '' : `&after=${next}`
  } while (after !== '')
  t.same(seen.filter((name) => name.startsWith('keep-')), Array.from({ length: 100 }, (_, i) => `keep-${297 - 3 * i}`))
})

t.test('the list is filtered by states, group, prefix, part of the name, and names', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  for (const [name, group] of [['report:1', 'a'], ['report:2', 'b'], ['mail:1', 'a'], ['.', undefined], ['B', undefined], ['a,b', undefined]] as const) app.addTask(untilAborted, { name, group })
  await Promise.allSettled([app.addTask(() => { throw new Error() }, { name: 'failed' })])
  for (const [query, expected] of [
    ['group=a', ['mail:1', 'report:1']],
    ['group=none', []],
    ['prefix=report:', ['report:2', 'report:1']],
    ['q=port', ['report:2', 'report:1']],
    ['q=:1&group=a&prefix=m', ['mail:1']],
    ['name=.', ['.']],
    ['name=report:1&name=.&name=a,b&name=no&name=.', ['a,b', '.', 'report:1']],
    ['name=report:1&name=.&limit=1', ['.', 'report:1']],
    ['q=PORT', ['report:2', 'report:1']],
    ['q=b', ['a,b', 'B']],
    ['state=failed', ['failed']],
    ['state=failed,running&prefix=f', ['failed']],
    ['state=failed&state=completed', ['failed']],
    ['state=cancelled', []],
    ['stat=failed&prefix=m', ['mail:1']]
  ] as const) t.same((await walk(app, query)).flat(), expected, query)
})

t.test('a page beside 100,000 tasks does not block the event loop, even if nothing matches', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  for (let i = 0; i < 100_000; i++) app.addTask(() => new Promise(() => {}))
  let turns = 0
  const count = (): void => { turns++; turning = setImmediate(count) }
  let turning = setImmediate(count)
  const { tasks } = (await app.inject('/tasks?q=nothing')).json()
  clearImmediate(turning)
  t.same(tasks, [])
  t.ok(turns > 1, `${turns} turns of the loop meanwhile`)
})

t.test('the page has a summary if the query asks for it', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  app.addTask(untilAborted, { name: 'a', group: 'g' })
  app.addTask(untilAborted, { name: 'summary' })
  await Promise.allSettled([app.addTask(() => { throw new Error() }, { name: 'failed', group: 'g' })])
  const { tasks, summary } = (await app.inject('/tasks?summary=true&limit=1')).json()
  t.equal(tasks.length, 1)
  const none = { pending: 0, running: 0, cancelling: 0, completed: 0, failed: 0, cancelled: 0 }
  t.match(summary, {
    counts: { ...none, running: 2, failed: 1 },
    groups: [{ group: 'g', counts: { ...none, running: 1, failed: 1 } }],
    process: { id: String, pid: process.pid, hostname: String, uptime: Number, heapUsed: Number, eventLoopDelay: Number }
  })
  t.equal(summary.process.id, (await app.inject('/tasks?summary=true')).json().summary.process.id)
  t.equal((await app.inject('/tasks?summary=false')).json().summary, undefined)
  t.equal((await app.inject('/tasks/summary')).json().name, 'summary')
})

t.test('at most 1,000 groups are summed up', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  for (let i = 0; i < 1_100; i++) app.addTask(untilAborted, { name: `t-${i}`, group: `g-${i}` })
  t.equal((await app.inject('/tasks?summary=true')).json().summary.groups.length, 1_000)
})

t.test('all that match a filter are cancelled together', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  const cancel = async (payload: unknown, query = '') => {
    const reply = await app.inject({ method: 'POST', url: `/tasks/cancel${query}`, payload: payload as object })
    return { status: reply.statusCode, ...reply.json() }
  }
  const { id } = (await app.inject('/tasks?summary=true')).json().summary.process
  const reasons: unknown[] = []
  const add = (name: string, group?: string): void => {
    app.addTask(async (_app, { signal }) => { await new Promise((resolve) => signal.addEventListener('abort', resolve)); reasons.push(signal.reason) }, { name, group })
  }
  for (let i = 0; i < 1_200; i++) add(`many:${i}`, 'many')
  for (const name of ['.', '..', 'report:1', 'mail:1']) add(name)
  let release!: () => void
  app.addTask(() => new Promise<void>((resolve) => { release = resolve }), { name: 'ignores', group: 'stuck' })
  await Promise.allSettled([app.addTask(() => {}, { name: 'ended', group: 'many' })])

  for (const [payload, message] of [
    [{}, /at least one of group, state, prefix, q, names/],
    [{ reason: 'why' }, /at least one of/], [{ process: 'p' }, /at least one of/],
    [{ group: '' }, /'group' must be a non-empty string, got ''/], [{ group: 1 }, /'group'/], [{ prefix: '' }, /'prefix'/], [{ q: '' }, /'q'/], [{ q: null }, /'q'/],
    [{ state: [] }, /'state'/], [{ state: 'asleep' }, /'state'/], [{ state: ['running', 'asleep'] }, /'state'/],
    [{ names: [] }, /'names'/], [{ names: 'a' }, /'names'/], [{ names: [1] }, /'names'/], [{ names: new Array(1_001).fill('a') }, /'names' must be a list of 1 to 1000 strings/],
    [{ group: 'many', prefx: 'x' }, /'prefx' must be one of group, state, prefix, q, names, process, reason/],
    [{ q: 'x'.repeat(1_001) }, /'q' must be a string of 1 to 1000 characters, got 'x{100}'/],
    [{ group: 'many', reason: 'x'.repeat(1_001) }, /'reason' must be a string of 1 to 1000 characters, got 'x{100}'/],
    [{ ['x'.repeat(500_000)]: 1 }, /^.{1,400}$/],
    [[], /it must be a JSON object/], [undefined, /it must be a JSON object/]
  ] as const) {
    const reply = await cancel(payload)
    t.equal(reply.status, 400, JSON.stringify(payload)?.slice(0, 100))
    t.match(reply, { code: /^FST_ERR_/, message })
  }
  t.equal((await cancel({ group: 'many' }, '?process=a&process=b')).status, 400)
  t.equal(app.tasks.live, 1_205, 'nothing was cancelled by any of these')

  t.same(await cancel({ group: 'many', reason: 'enough' }), { status: 200, cancelled: 1_200, remaining: [] })
  t.equal(reasons.filter((reason) => reason === 'enough').length, 1_200)
  t.same(await cancel({ names: ['.', '..', 'no'] }), { status: 200, cancelled: 2, remaining: [] })
  t.match(reasons.at(-1) as object, { code: 'FST_ERR_TASK_CANCEL_REQUESTED', name: 'AbortError' })
  t.same(await cancel({ q: 'port' }), { status: 200, cancelled: 1, remaining: [] })
  t.same(await cancel({ prefix: 'mail:', state: 'running' }, `?process=${id}`), { status: 200, cancelled: 1, remaining: [] })
  t.same(await cancel({ state: ['pending', 'running'] }), { status: 200, cancelled: 0, remaining: ['ignores'] })
  t.match((await app.inject('/tasks/ignores')).json(), { state: 'cancelling', reason: { code: 'FST_ERR_TASK_CANCEL_REQUESTED' } })
  t.same((await app.inject('/tasks/many:0')).json().reason, {})
  release()
})
