import fastifyAuth from '@fastify/auth'
import fastifyBasicAuth from '@fastify/basic-auth'
import fastifyBearerAuth from '@fastify/bearer-auth'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import type { AccessOptions } from '../../lib/control/access-options'
import tasksDashboard from '../../lib/control/dashboard'
import tasksFeed from '../../lib/control/feed'
import tasksRoutes from '../../lib/control/routes'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'

const GUARDED = [
  ['GET', '/tasks'], ['GET', '/tasks/idle'], ['POST', '/tasks/idle/heartbeat'], ['POST', '/tasks/purge'], ['DELETE', '/tasks/idle'],
  ['GET', '/dashboard'], ['GET', '/dashboard/dashboard.js'], ['GET', '/dashboard/dashboard.css'], ['GET', '/dashboard/api'],
  ['GET', '/dashboard/api/idle'], ['POST', '/dashboard/api/purge']
] as const

/** The status of a handshake: 101 if it succeeds. */
function handshake (url: string, headers = {}): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers })
    const settle = (status: number) => {
      socket.on('error', () => {})
      socket.terminate()
      resolve(status)
    }
    socket.on('unexpected-response', (_request, response) => settle(response.statusCode!))
    socket.on('open', () => settle(101))
  })
}

/** Nothing enters without the credentials, everything with them. */
async function checkGuard (t: Test, app: FastifyInstance, onRequest: AccessOptions['onRequest'], authorization: string): Promise<void> {
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest })
  await app.register(tasksFeed, { prefix: '/feed', onRequest })
  await app.register(tasksDashboard, { prefix: '/dashboard', onRequest })
  const address = await listen(app)
  await started(app.addTask(untilAborted, { name: 'idle', ttl: 60_000 }))
  for (const [method, url] of GUARDED) {
    t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
    t.equal((await app.inject({ method, url, headers: { authorization: 'Basic d3Jvbmc6d3Jvbmc=' } })).statusCode, 401, `${method} ${url}`)
  }
  t.equal(app.getTask('idle')!.state, 'running')
  for (const [method, url] of GUARDED) {
    const { statusCode } = await app.inject({ method, url, headers: { authorization } })
    t.ok(statusCode === 200 || statusCode === 204, `${method} ${url}: ${statusCode}`)
  }
  for (const path of ['/feed', '/dashboard/feed']) {
    t.equal(await handshake(`ws://${address}${path}`), 401)
    t.equal(await handshake(`ws://${address}${path}`, { authorization }), 101)
  }
}

const basic = `Basic ${Buffer.from('ops:secret').toString('base64')}`

async function validate (username: string, password: string) {
  if (username !== 'ops' || password !== 'secret') return new Error('no')
}

t.test('@fastify/bearer-auth guards every route, the page and the handshake', async (t) => {
  const app = await appWithTasks(t)
  await app.register(fastifyBearerAuth, { keys: new Set(['secret']), addHook: false })
  await checkGuard(t, app, app.verifyBearerAuth!, 'Bearer secret')
})

t.test('@fastify/basic-auth guards every route, the page and the handshake', async (t) => {
  const app = await appWithTasks(t)
  await app.register(fastifyBasicAuth, { validate, authenticate: true })
  await checkGuard(t, app, app.basicAuth, basic)
})

t.test('@fastify/auth guards every route, the page and the handshake, with either of two', async (t) => {
  for (const authorization of [basic, 'Bearer secret']) {
    const app = await appWithTasks(t)
    await app.register(fastifyAuth)
    await app.register(fastifyBearerAuth, { keys: new Set(['secret']), addHook: false, verifyErrorLogLevel: 'debug' })
    await app.register(fastifyBasicAuth, { validate })
    await checkGuard(t, app, app.auth([app.verifyBearerAuth!, app.basicAuth]), authorization)
  }
})
