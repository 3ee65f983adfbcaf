// Apps that their owners have made otherwise than the one in the README.
import { once, on } from 'node:events'
import { connect } from 'node:http2'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Task } from '../../index'
import tasksDashboard from '../../lib/control/dashboard'
import tasksFeed from '../../lib/control/feed'
import tasksRoutes from '../../lib/control/routes'
import { visit } from '../fixtures/proxied'
import { appWithTasks, readyApp, untilAborted } from '../fixtures/app'

t.setTimeout(60_000)

async function addControl (app: FastifyInstance): Promise<void> {
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
  app.addTask(untilAborted, { name: 'poller' })
}

t.test("a preSerialization hook that wraps the app's replies does not affect routes and dashboard", async (t) => {
  const app = await appWithTasks(t)
  app.addHook('preSerialization', async (_request, _reply, payload) => ({ data: payload }))
  await addControl(app)
  app.get('/own', async () => ({ own: true }))
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.same(await (await fetch(`${url}/own`)).json(), { data: { own: true } })
  t.match(await (await fetch(`${url}/tasks`)).json(), { tasks: [{ name: 'poller' }] })
  t.match(await (await fetch(`${url}/tasks/poller`)).json(), { name: 'poller' })
  t.match(await (await fetch(`${url}/tasks/purge`, { method: 'POST' })).json(), { purged: 0 })
  const refused = await visit(`${url}/dashboard/`, async (page) => page.getByText('poller').first().waitFor())
  t.same(refused, [])
})

t.test('compilers of the app that do not know JSON schema are not used for the routes', async (t) => {
  const app = await appWithTasks(t)
  // As those of fastify-type-provider-zod.
  app.setValidatorCompiler<{ safeParse: (data: unknown) => { data: unknown } }>(({ schema }) => {
    if (typeof schema.safeParse !== 'function') throw new Error('Not a Zod schema')
    return (data) => ({ value: schema.safeParse(data).data })
  })
  app.setSerializerCompiler<{ safeParse?: unknown }>(({ schema }) => {
    if (typeof schema.safeParse !== 'function') throw new Error('Not a Zod schema')
    return (data) => JSON.stringify(data)
  })
  await addControl(app)
  app.get('/own', { schema: { querystring: { safeParse: () => ({ data: { parsed: true } }) } } }, async (request) => request.query)
  await app.ready()
  t.same((await app.inject('/own')).json(), { parsed: true })
  t.match((await app.inject('/tasks')).json(), { tasks: [{ name: 'poller' }] })
  t.equal((await app.inject('/tasks?state=unheard-of')).statusCode, 400)
  t.equal((await app.inject({ method: 'DELETE', url: '/tasks/poller' })).statusCode, 200)
})

t.test('an HTTP/2 server serves the routes and the page, and survives a request for the feed', async (t) => {
  const app = await appWithTasks(t, {}, { http2: true } as object)
  await addControl(app)
  const client = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => client.destroy())
  const get = async (path: string): Promise<number> => {
    const stream = client.request({ ':path': path })
    const [headers] = await once(stream, 'response')
    stream.resume()
    await once(stream, 'end')
    return headers[':status']
  }
  const statuses: Record<string, number> = {}
  for (const path of ['/tasks', '/dashboard/', '/feed', '/dashboard/feed', '/tasks/poller']) statuses[path] = await get(path)
  t.same(statuses, { '/tasks': 200, '/dashboard/': 200, '/feed': 426, '/dashboard/feed': 426, '/tasks/poller': 200 })
})

t.test('signals of another realm cancel a task', async (t) => {
  const app = await readyApp(t)
  // What a document of jsdom or happy-dom has: neither class is Node's own.
  const { controller, signal } = runInNewContext(`
    class Signal {
      aborted = false
      reason = undefined
      listeners = new Map()
      addEventListener (_type, listener, options) { this.listeners.set(listener, options) }
      removeEventListener (_type, listener) { this.listeners.delete(listener) }
    }
    const signal = new Signal()
    const controller = {
      abort (reason) {
        signal.aborted = true
        signal.reason = reason
        for (const [listener, options] of signal.listeners) {
          if (options?.once) signal.listeners.delete(listener)
          if (typeof listener === 'function') listener.call(signal, { type: 'abort', target: signal })
          else listener.handleEvent({ type: 'abort', target: signal })
        }
      }
    }
    ;({ controller, signal })`)
  const task = app.addTask((_app, { signal }) => once(signal, 'abort'), { signal })
  await once(app.tasks, 'start')
  controller.abort('enough')
  await t.rejects(async () => { await task }, { code: 'FST_ERR_TASK_CANCELLED', cause: 'enough' })
  t.equal(signal.listeners.size, 0)
  t.equal(app.addTask(() => {}, { signal }).state, 'cancelled')
  for (const wrong of [{}, { aborted: false }, 'abort', runInNewContext('({ addEventListener () {} })')]) {
    t.throws(() => app.addTask(() => {}, { signal: wrong as AbortSignal }), { code: 'FST_ERR_TASK_INVALID_OPTION' })
  }
})

t.test("the tasks' events are awaited and iterated with node:events", async (t) => {
  const app = await readyApp(t)
  const ended = once(app.tasks, 'end')
  app.addTask(() => 1, { name: 'first' })
  const [task]: Task[] = await ended
  t.equal(task.name, 'first')
  const names: string[] = []
  const controller = new AbortController()
  setImmediate(() => { for (const name of ['second', 'third']) app.addTask(() => {}, { name }) })
  for await (const [{ name }] of on(app.tasks, 'end', { signal: controller.signal }) as AsyncIterable<Task[]>) {
    names.push(name)
    if (names.length === 2) break
  }
  t.same(names, ['second', 'third'])
  for (const event of ['start', 'progress', 'end'] as const) t.equal(app.tasks.listenerCount(event), 0)
  controller.abort()
  await t.rejects(once(app.tasks, 'end', { signal: controller.signal }), { name: 'AbortError' })
})
