import type { FastifyError } from 'fastify'
import t from 'tap'
import { kJobsControlBackend, type ControlBackend } from '../../lib/shared/control-backend'
import tasksRoutes from '../../lib/control/routes'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'

t.test('the routes', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  await started(app.addTask(untilAborted, { name: 'idle', ttl: 60_000 }))

  t.test('list the tasks, of one state if asked', async (t) => {
    for (const url of ['/tasks', '/tasks/', '/tasks?state=running']) {
      const reply = await app.inject(url)
      t.equal(reply.statusCode, 200)
      t.match(reply.json(), { tasks: [{ name: 'idle', state: 'running', createdAt: Number, lease: { ttl: 60_000, remaining: Number } }] })
    }
    t.same((await app.inject('/tasks?state=failed')).json(), { tasks: [] })
  })

  t.test('refuse a parameter with a wrong value', async (t) => {
    for (const query of ['state=asleep', 'state=', 'state=running,asleep', 'limit=0', 'limit=1001', 'limit=x', 'limit=1.5', 'after=x', 'after=1e3', 'after=', 'q=a&q=b', 'summary=2']) {
      const reply = await app.inject(`/tasks?${query}`)
      t.equal(reply.statusCode, 400, query)
      t.match(reply.json(), { code: /^FST_ERR_(VALIDATION|TASK_INVALID_CURSOR)$/ }, query)
    }
  })

  t.test('answer for an unknown task with its code', async (t) => {
    const unknown = [
      ['GET', '/tasks/no'], ['DELETE', '/tasks/no'], ['POST', '/tasks/no/heartbeat'],
      ['GET', `/tasks/${'n'.repeat(300)}`], ['POST', `/tasks/${'n'.repeat(300)}/heartbeat`], ['POST', `/tasks/${'n'.repeat(300)}`]
    ] as const
    for (const [method, url] of unknown) {
      const reply = await app.inject({ method, url })
      t.equal(reply.statusCode, 404, `${method} ${url}`)
      t.match(reply.json(), { statusCode: 404, code: 'FST_ERR_TASK_NOT_FOUND', error: 'Not Found', message: /^Task '.*' was not found$/ })
    }
  })

  t.test('renew a lease, with no body and with an empty one', async (t) => {
    t.equal((await app.inject({ method: 'POST', url: '/tasks/idle/heartbeat' })).statusCode, 204)
    const empty = await app.inject({ method: 'POST', url: '/tasks/idle/heartbeat', headers: { 'content-type': 'application/json' } })
    t.equal(empty.statusCode, 204)
    t.equal(empty.body, '')
    const broken = await app.inject({ method: 'POST', url: '/tasks/idle/heartbeat', headers: { 'content-type': 'application/json' }, payload: '{' })
    t.equal(broken.statusCode, 400)
  })

  t.test('refuse the heartbeat of a task without a lease', async (t) => {
    app.addTask(untilAborted, { name: 'free' })
    const reply = await app.inject({ method: 'POST', url: '/tasks/free/heartbeat' })
    t.equal(reply.statusCode, 409)
    t.equal(reply.json().code, 'FST_ERR_TASK_NO_LEASE')
    await app.cancelTask('free')
  })

  t.test('change nothing on GET and HEAD', async (t) => {
    for (const method of ['GET', 'HEAD'] as const) {
      for (const url of ['/tasks', '/tasks/idle', '/tasks/purge', '/tasks/idle/heartbeat']) await app.inject({ method, url })
    }
    t.equal(app.getTask('idle')!.state, 'running')
    t.equal(app.getTask('free')!.state, 'cancelled')
  })

  t.test('cancel a task and answer when it has stopped', async (t) => {
    const reply = await app.inject({ method: 'DELETE', url: '/tasks/idle', headers: { 'content-type': 'application/json' } })
    t.equal(reply.statusCode, 200)
    t.match(reply.json(), { name: 'idle', state: 'cancelled', endedAt: Number, error: { code: 'FST_ERR_TASK_CANCELLED' } })
    t.equal((await app.inject('/tasks/idle')).json().state, 'cancelled')
  })

  t.test('refuse to cancel or renew what has ended', async (t) => {
    for (const [method, url] of [['DELETE', '/tasks/idle'], ['POST', '/tasks/idle/heartbeat']] as const) {
      const reply = await app.inject({ method, url })
      t.equal(reply.statusCode, 409)
      t.equal(reply.json().code, 'FST_ERR_TASK_NOT_LIVE')
    }
  })

  t.test('answer 202 if a task is still running after cancelTimeout', async (t) => {
    let release!: () => void
    app.addTask(() => new Promise<void>((resolve) => { release = resolve }), { name: 'ignoresSignal' })
    await started(app.getTask('ignoresSignal')!)
    const reply = await app.inject({ method: 'DELETE', url: '/tasks/ignoresSignal' })
    t.equal(reply.statusCode, 202)
    t.equal(reply.json().state, 'cancelling')
    release()
  })

  t.test('answer with the outcome of an unnamed task that they cancelled', async (t) => {
    const { name } = app.addTask(untilAborted)
    await started(app.getTask(name)!)
    t.match((await app.inject({ method: 'DELETE', url: `/tasks/${name}` })).json(), { name, state: 'cancelled' })
    t.equal((await app.inject(`/tasks/${name}`)).statusCode, 404)
  })

  t.test('remove ended tasks', async (t) => {
    app.addTask(() => {}, { name: 'last' })
    await app.getTask('last')
    t.match((await app.inject({ method: 'POST', url: '/tasks/purge', headers: { 'content-type': 'application/json' } })).json(), { purged: 4 })
    t.equal(app.tasks.size, 0)
  })
})

t.test('a process that is meant and is another has none of the tasks, and is named as missing', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) => {
    const reply = await app.inject({ method, url: `/tasks${url}`, payload })
    return [reply.statusCode, reply.body === '' ? undefined : reply.json()]
  }
  const { id } = (await app.inject('/tasks?summary=true')).json().summary.process
  const [one, two] = [app.addTask(untilAborted, { name: 'one', group: 'g', ttl: 60_000 }), app.addTask(untilAborted, { name: 'two', group: 'g' })]
  const over = app.addTask(() => {}, { name: 'over' })
  await over

  const missing = ['other']
  t.same(await ask('GET', '?process=other'), [200, { tasks: [], missing }])
  t.match(await ask('GET', '?process=other&summary=true'), [200, { tasks: [], missing, summary: { counts: { running: 2 } } }])
  t.same(await ask('POST', '/cancel', { group: 'g', process: 'other' }), [200, { cancelled: 0, remaining: [], missing }])
  t.same(await ask('POST', '/cancel?process=other', { group: 'g' }), [200, { cancelled: 0, remaining: [], missing }])
  t.same(await ask('POST', '/cancel?token=of-a-hook', { group: 'none' }), [200, { cancelled: 0, remaining: [] }], 'what else is in the URL is not of the filter')
  t.same(await ask('POST', '/purge?process=other'), [200, { purged: 0, missing }])
  for (const [method, url] of [['GET', '/one'], ['DELETE', '/one'], ['POST', '/one/heartbeat'], ['GET', '/over']] as const) {
    t.match(await ask(method, `${url}?process=other`), [404, { code: 'FST_ERR_TASK_NOT_FOUND' }], `${method} ${url}`)
  }
  // What a body was to narrow is not done in full.
  for (const url of ['/purge', '/one/heartbeat', `/${'n'.repeat(300)}/heartbeat`]) {
    for (const body of [{ group: 'g' }, { process: 1 }, { process: '' }, []]) t.match(await ask('POST', url, body), [400, { code: 'FST_ERR_TASK_INVALID_BODY' }], url)
  }
  t.same(await ask('POST', '/purge', { process: 'other' }), [200, { purged: 0, missing }])
  t.match(await ask('POST', '/one/heartbeat', { process: 'other' }), [404, {}])
  t.match(await ask('DELETE', '/one', { process: 'other' }), [404, {}])
  t.same([one.state, two.state, app.tasks.size], ['running', 'running', 3])

  t.match(await ask('GET', `?process=${id}`), [200, { tasks: [{ name: 'over' }, { name: 'two' }, { name: 'one' }], missing: undefined }])
  t.match(await ask('GET', `/one?process=${id}`), [200, { name: 'one' }])
  t.equal((await ask('POST', `/one/heartbeat?process=${id}`))[0], 204)
  t.match(await ask('DELETE', `/one?process=${id}`), [200, { state: 'cancelled' }])
  t.same(await ask('POST', '/cancel', { group: 'g', process: id }), [200, { cancelled: 1, remaining: [] }])
  t.same(await ask('POST', `/purge?process=${id}`), [200, { purged: 3 }])
})

t.test('jobs are of no process: one that is meant has none', async (t) => {
  const app = await appWithTasks(t)
  const job = { name: 'a', kind: 'k', attempts: 0, state: 'pending' as const, createdAt: 1 }
  app.decorate(kJobsControlBackend, { get: () => job, cancelAll: async () => ({ cancelled: 1, remaining: [] }) })
  await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
  t.match((await app.inject('/jobs/a?process=any')).json(), { statusCode: 404, code: 'FST_ERR_JOB_NOT_FOUND', message: "Job 'a' was not found" })
  t.same((await app.inject({ method: 'POST', url: '/jobs/cancel', payload: { q: 'a', process: 'any' } })).json(), { cancelled: 0, remaining: [], missing: ['any'] })
  t.same((await app.inject({ method: 'POST', url: '/jobs/cancel', payload: { q: 'a' } })).json(), { cancelled: 1, remaining: [] })
})

t.test('a cursor of another process, or of the one before a restart, is refused', async (t) => {
  const [next, other] = await Promise.all([1, 2].map(async () => {
    const app = await appWithTasks(t)
    await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
    await app.ready()
    for (let i = 0; i < 3; i++) app.addTask(untilAborted)
    const { next } = (await app.inject('/tasks?limit=1')).json()
    return { next, statusOf: async (after: string) => (await app.inject(`/tasks?after=${after}`)).json() }
  }))
  t.equal((await next.statusOf(next.next)).tasks.length, 2)
  const damaged = [next.next.slice(0, -1), `${next.next}x`, next.next.slice(1), '3', '1.3']
  for (const after of [other.next, ...damaged]) t.match(await next.statusOf(after), { statusCode: 400, code: 'FST_ERR_TASK_INVALID_CURSOR' }, after)
})

t.test('a name that no path can hold is taken from the query', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  const address = await listen(app)
  for (const name of ['.', '..', 'n'.repeat(3_000)]) {
    await started(app.addTask(untilAborted, { name, ttl: 60_000 }))
    const ask = async (method: string, path: string) => await fetch(`http://${address}/tasks/${path}?name=${encodeURIComponent(name)}`, { method })
    t.match(await (await ask('GET', '-')).json(), { name })
    t.equal((await ask('POST', '-/heartbeat')).status, 204)
    t.equal((await ask('POST', `${'x'.repeat(200)}/heartbeat`)).status, 204)
    t.match(await (await ask('DELETE', '-')).json(), { name, state: 'cancelled' })
  }
})

t.test('a name that no URL can hold is cancelled by the body', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  const address = await listen(app)
  const names = ['\ud800', 'n'.repeat(20_000)]
  for (const name of names) await started(app.addTask(untilAborted, { name }))
  t.equal((await fetch(`http://${address}/tasks/${names[1]}`)).status, 431)
  const reply = await fetch(`http://${address}/tasks/cancel`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ names })
  })
  t.same(await reply.json(), { cancelled: 2, remaining: [] })
})

t.test('a preSerialization hook of the app does not wrap these replies', async (t) => {
  const app = await appWithTasks(t)
  app.addHook('preSerialization', async (_request, _reply, payload) => ({ data: payload }))
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  await started(app.addTask(untilAborted, { name: 'idle', ttl: 60_000 }))
  t.equal((await app.inject('/tasks')).json().tasks.length, 1)
  t.equal((await app.inject('/tasks')).headers['content-type'], 'application/json; charset=utf-8')
  t.equal((await app.inject('/tasks/idle')).json().name, 'idle')
  t.equal((await app.inject({ method: 'POST', url: '/tasks/idle/heartbeat' })).statusCode, 204)
  t.match((await app.inject({ method: 'POST', url: '/tasks/purge' })).json(), { purged: 0 })
  t.match((await app.inject({ method: 'POST', url: '/tasks/cancel', payload: { q: 'x' } })).json(), { cancelled: 0 })
  t.equal((await app.inject({ method: 'DELETE', url: '/tasks/idle' })).json().state, 'cancelled')
  t.equal((await app.inject('/tasks/no')).json().code, 'FST_ERR_TASK_NOT_FOUND')
})

t.test('what an error repeats of a request is clipped', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  for (const [method, path] of [['GET', ''], ['DELETE', ''], ['POST', '/heartbeat'], ['POST', '']] as const) {
    const { message } = (await app.inject({ method, url: `/tasks/${'n'.repeat(9_000)}${path}` })).json()
    t.match(message, /^Task 'n{500}…' was not found$/)
  }
})

t.test('the stack of anything thrown is sent only with exposeErrors, and only if there is one', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/closed', onRequest: [] })
  await app.register(tasksRoutes, { prefix: '/exposed', onRequest: [], exposeErrors: true })
  await app.ready()
  const thrown: Record<string, unknown> = {
    error: new Error('why'), text: 'why', none: undefined, odd: { stack: 5 }, hostile: { get stack () { throw new Error('no') } }
  }
  for (const [name, value] of Object.entries(thrown)) await Promise.allSettled([app.addTask(() => { throw value }, { name })])
  for (const name of Object.keys(thrown)) {
    const { stack } = (await app.inject(`/exposed/${name}`)).json().error
    if (name === 'error') t.match(stack, /^Error: why\n {4}at /)
    else t.equal(stack, undefined)
    t.equal((await app.inject(`/closed/${name}`)).json().error.stack, undefined)
  }
  t.equal((await app.inject('/exposed')).json().tasks.some(({ error }: any) => error.stack !== undefined), false)
})

t.test('a job is retried, and queues are paused and resumed', async (t) => {
  const app = await appWithTasks(t)
  const job = { name: 'a', kind: 'k', attempts: 1, state: 'pending' as const, createdAt: 1 }
  const calls: unknown[] = []
  const source: Partial<ControlBackend> = {
    get: () => job,
    retry: async (name) => { calls.push(['retry', name]); return job },
    pause: async (queue) => { calls.push(['pause', queue]) },
    resume: async (queue) => { calls.push(['resume', queue]) }
  }
  app.decorate(kJobsControlBackend, source)
  await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
  const post = async (url: string, payload?: object) => await app.inject({ method: 'POST', url, payload })
  const reply = await post('/jobs/a/retry')
  t.equal(reply.statusCode, 202)
  t.same(reply.json(), job)
  t.equal((await post(`/jobs/${'n'.repeat(300)}/retry`)).statusCode, 202)
  t.equal((await post('/jobs/-/retry?name=.')).statusCode, 202)
  t.equal((await post('/jobs/pause', { queue: 'media' })).statusCode, 204)
  t.equal((await post('/jobs/resume', {})).statusCode, 204)
  t.equal((await post('/jobs/resume')).statusCode, 204)
  for (const payload of [{ queue: '' }, { queue: 1 }, { que: 'media' }, []]) t.equal((await post('/jobs/pause', payload)).statusCode, 400)
  t.same(calls, [
    ['retry', 'a'], ['retry', 'n'.repeat(300)], ['retry', '.'], ['pause', 'media'], ['resume', undefined], ['resume', undefined]
  ])
})

t.test('unusual names work with inject and over a socket', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  const address = await listen(app)
  const names = [
    'a/b', '/', '100%', '%2F', 'cancel', 'summary', 'ünïcödé ✓ 日本', 'n'.repeat(300), '/'.repeat(300), 'é%/'.repeat(100), 'purge', '__proto__', 'constructor',
    'heartbeat', 'x/heartbeat', `${'n'.repeat(200)}/heartbeat`, 'a?b#c', ' ', '*', ':name', '<img src=x onerror=alert(1)>'
  ]
  for (const name of names) {
    await started(app.addTask(untilAborted, { name, ttl: 60_000 }))
    const path = `/tasks/${encodeURIComponent(name)}`
    t.equal((await app.inject(path)).json().name, name)
    t.equal((await app.inject({ method: 'POST', url: `${path}/heartbeat` })).statusCode, 204, name)
    if (name !== 'purge' && name !== 'cancel') t.equal((await app.inject({ method: 'POST', url: path })).statusCode, 404, name)
    t.equal((await fetch(`http://${address}${path}/heartbeat`, { method: 'POST' })).status, 204)
    const reply = await fetch(`http://${address}${path}`, { method: 'DELETE' })
    t.equal(reply.status, 200)
    t.match(await reply.json(), { name, state: 'cancelled' })
  }
})

t.test("a name that ends in /heartbeat is not taken for another's heartbeat", async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  await started(app.addTask(untilAborted, { name: 'x', ttl: 60_000 }))
  t.equal((await app.inject({ method: 'POST', url: '/tasks/x%2Fheartbeat' })).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: '/tasks/x/heartbeat' })).statusCode, 204)
})

t.test('an empty body counts as none, also in an app with its own JSON parser', async (t) => {
  const app = await appWithTasks(t)
  app.addContentTypeParser('application/json', async () => { throw new Error("the app's own parser") })
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  t.same((await app.inject({ method: 'POST', url: '/tasks/purge', headers: { 'content-type': 'application/json' } })).json(), { purged: 0 })
})

t.test('only the code of an error is sent, unless its message is exposed', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/closed', onRequest: [] })
  await app.register(tasksRoutes, { prefix: '/exposed', onRequest: [], serve: 'tasks', exposeErrors: true })
  await app.ready()
  app.addTask(() => { throw Object.assign(new Error('password: 1234'), { code: 'E_DB' }) }, { name: 'coded' })
  app.addTask(() => { throw new Error('password: 1234') }, { name: 'plain' })
  await Promise.allSettled([app.getTask('coded'), app.getTask('plain')])
  t.same((await app.inject('/closed/coded')).json().error, { code: 'E_DB' })
  t.same((await app.inject('/closed/plain')).json().error, {})
  t.notMatch((await app.inject('/closed')).body, /password/)
  t.match((await app.inject('/exposed/coded')).json().error, { code: 'E_DB', message: 'password: 1234', stack: /^Error: password.*\n +at / })
})

t.test('progress is sent as it was reported', async (t) => {
  const app = await appWithTasks(t)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  const task = app.addTask(untilAborted, { name: 'idle' })
  for (const progress of [0, 33.3, { rows: [1, { of: null }], text: 'é' }]) {
    task.updateProgress(progress)
    t.same((await app.inject('/tasks/idle')).json().progress, progress)
  }
})

t.test('the hooks guard every route, in order', async (t) => {
  const app = await appWithTasks(t)
  const calls: number[] = []
  await app.register(tasksRoutes, {
    prefix: '/tasks',
    onRequest: [
      async () => { calls.push(1) },
      (_request, reply, _done) => { reply.code(401).send({ no: true }) }
    ]
  })
  await app.ready()
  await started(app.addTask(untilAborted, { name: 'idle', ttl: 60_000 }))
  const routes = [
    ['GET', '/tasks'], ['GET', '/tasks/'], ['HEAD', '/tasks'], ['GET', '/tasks/idle'], ['HEAD', '/tasks/idle'], ['DELETE', '/tasks/idle'],
    ['POST', '/tasks/idle/heartbeat'], ['POST', '/tasks/purge'], ['GET', `/tasks/${'n'.repeat(300)}`],
    ['DELETE', `/tasks/${'n'.repeat(300)}`], ['POST', `/tasks/${'n'.repeat(300)}/heartbeat`]
  ] as const
  for (const [method, url] of routes) t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
  t.equal(calls.length, routes.length)
  t.equal(app.getTask('idle')!.state, 'running')
})

t.test('wrong options are refused', async (t) => {
  const wrong: Array<[object, string]> = [
    [{}, "fastify-tasks/routes needs the option 'onRequest'"],
    [{ onRequest: undefined }, "fastify-tasks/routes needs the option 'onRequest'"],
    [{ onRequest: null }, "Option 'onRequest' must be"],
    [{ onRequest: [], exposeErrors: 1 }, "Option 'exposeErrors' must be"],
    [{ onRequest: [], serve: 'cake' }, "Option 'serve' must be 'tasks' or 'jobs', got 'cake'"],
    [{ onRequest: [], serve: 'jobs' }, 'Register fastify-tasks/jobs before routes']
  ]
  for (const [options, message] of wrong) {
    const app = await appWithTasks(t)
    await t.rejects(Promise.resolve(app.register(tasksRoutes, { prefix: '/tasks', ...options } as any)), { message })
  }
})

t.test('the routes require Fastify 5 and fastify-tasks', async (t) => {
  t.match(Reflect.get(tasksRoutes, Symbol.for('plugin-meta')), { name: 'fastify-tasks-routes', fastify: '5.x', dependencies: ['fastify-tasks'] })
})

t.test('jobs are served from their own backend', async (t) => {
  const app = await appWithTasks(t)
  const job = { name: 'a/b', kind: 'k', attempts: 0, state: 'pending' as const, createdAt: 1 }
  const added: unknown[] = []
  const source: Partial<ControlBackend> = {
    list: () => ({ tasks: [job] }),
    get: () => job,
    cancel: async () => ({ ...job, state: 'cancelled' }),
    heartbeat: () => {},
    purge: () => ({ purged: 2 }),
    add: async (...args) => { added.push(args); return { ...job, name: args[2].name ?? job.name } }
  }
  app.decorate(kJobsControlBackend, source)
  await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
  t.same((await app.inject('/jobs')).json(), { tasks: [job] })
  const reply = await app.inject({ method: 'POST', url: '/jobs?x=1', payload: { kind: 'k', data: { id: 1 }, name: 'a/b' } })
  t.equal(reply.statusCode, 202)
  t.equal(reply.headers.location, '/jobs/a%2Fb')
  t.same(reply.json(), job)
  t.match(added, [['k', { id: 1 }, { name: 'a/b' }]])
  t.equal((await app.inject({ method: 'POST', url: '/jobs/', payload: { kind: 'k' } })).headers.location, '/jobs/a%2Fb')
  for (const payload of [
    undefined, [], {}, { kind: '' }, { kind: 1 }, { kind: 'k', name: '' }, { kind: 'k', name: 'n'.repeat(1_001) }, { kind: 'k', name: null },
    { kind: 'k', ttl: 0 }, { kind: 'k', ttl: 1.5 }, { kind: 'k', ttl: '5' }, { kind: 'k', nmae: 'x' }, { kind: 'k', delay: 5 }
  ]) {
    const refused = await app.inject({ method: 'POST', url: '/jobs', payload })
    t.match(refused.json(), { statusCode: 400, code: 'FST_ERR_TASK_INVALID_BODY' }, JSON.stringify(payload))
  }
  t.match((await app.inject({ method: 'POST', url: '/jobs', payload: { kind: 'k', nmae: 'x' } })).json().message, /'nmae' must be one of kind, data, name, ttl/)
  t.equal(added.length, 2)
  for (const name of ['.', '..']) {
    const { location } = (await app.inject({ method: 'POST', url: '/jobs', payload: { kind: 'k', name } })).headers
    t.equal(location, `/jobs/-?name=${name}`)
    t.equal((await app.inject(new URL(location as string, 'http://h').href.slice('http://h'.length))).statusCode, 200)
  }
  for (const name of ['.a', 'a.', '...']) t.equal((await app.inject({ method: 'POST', url: '/jobs', payload: { kind: 'k', name } })).headers.location, `/jobs/${name}`)
})

t.test("an app's own error handler and hooks answer with the bodies they choose", async (t) => {
  const app = await appWithTasks(t)
  app.setErrorHandler<FastifyError>((error, _request, reply) => reply.code(error.statusCode!).send({ error: { code: error.code } }))
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.register(tasksRoutes, { prefix: '/down', onRequest: async (_request, reply) => reply.send({ maintenance: true }) })
  t.same((await app.inject('/down')).json(), { maintenance: true })
  t.same((await app.inject('/tasks/no')).json(), { error: { code: 'FST_ERR_TASK_NOT_FOUND' } })
  t.same((await app.inject('/tasks?state=asleep')).json(), { error: { code: 'FST_ERR_VALIDATION' } })
})

t.test("an app's own compilers need not know JSON schemas", async (t) => {
  const app = await appWithTasks(t)
  const compiler = ({ schema }: { schema: any }) => schema.safeParse.bind(schema)
  app.setValidatorCompiler(compiler)
  app.setSerializerCompiler(compiler)
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.ready()
  await started(app.addTask(untilAborted, { name: 'idle' }))
  t.match((await app.inject('/tasks?state=running')).json(), { tasks: [{ name: 'idle' }] })
  t.equal((await app.inject('/tasks?state=asleep')).statusCode, 400)
})
