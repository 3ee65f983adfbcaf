import Fastify from 'fastify'
import Module from 'node:module'
import t from 'tap'
import fastifyTasks from '../../index'
import fastifyJobs from '../../lib/jobs'

t.test('only the driver of the store in use is needed', async (t) => {
  const modules = Module as unknown as { _load: (name: string, ...more: unknown[]) => unknown }
  const original = modules._load
  t.teardown(() => { modules._load = original })
  const absent = new Set<string>()
  modules._load = (name, ...more) => {
    if (absent.has(name)) throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' })
    return original(name, ...more)
  }
  const register = async (connection: object | string): Promise<void> => {
    const app = Fastify()
    await app.register(fastifyTasks)
    await app.register(fastifyJobs, { connection })
  }
  for (const [missing, connection] of [['bullmq', { port: 1 }], ['ioredis', { port: 1 }], ['ioredis', 'redis://127.0.0.1'], ['pg', 'postgres://127.0.0.1/x'], ['pg', { database: 'x' }]] as const) {
    absent.clear()
    absent.add(missing)
    await t.rejects(register(connection), {
      code: 'FST_ERR_JOB_MISSING_PACKAGE', message: new RegExp(`npm install ${missing}`), cause: { code: 'MODULE_NOT_FOUND' }
    })
  }
  absent.clear()
  absent.add('ioredis')
  await t.resolves(register({ user: 'postgres' }))
  await t.resolves(register({ duplicate () {} }), 'a client of the user\'s needs no driver')
})
