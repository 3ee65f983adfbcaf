import Fastify, { type FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import fastifyTasks from '../../index'
import { ByHand } from '../by-hand'
import { cpuTime, ratio, type Figure, type Round } from '../harness'

const REQUESTS = 5_000

async function work (): Promise<void> {}

/** CPU of the server for one request; the clients are another process. */
function serving (route: (app: FastifyInstance) => void): () => Promise<Round> {
  return async () => {
    const app = Fastify()
    await app.register(fastifyTasks, { keepEnded: 0 })
    await app.register(async (app) => route(app))
    await app.listen({ port: 0, host: '127.0.0.1' })
    const clients = fork(join(__dirname, '../http-clients.js'), [String((app.server.address() as AddressInfo).port)])
    return async () => await cpuTime(async () => {
      clients.send(REQUESTS)
      await once(clients, 'message')
    }) / REQUESTS
  }
}

let lastId = 0

const http: Figure = {
  title: 'http: a route that adds a task',
  unit: 'ns CPU of the server for a request',
  floor: 'promise.catch()',
  rounds: 7,
  variants: {
    'bare route': serving((app) => {
      app.post('/', async (_, reply) => reply.code(202).send({ ok: true }))
    }),
    'promise.catch()': serving((app) => {
      app.post('/', async (_, reply) => {
        work().catch((error) => app.log.error(error))
        return reply.code(202).send({ ok: true })
      })
    }),
    'by hand': serving((app) => {
      const tasks = new ByHand()
      app.post('/', async (_, reply) => {
        tasks.add(`report:${++lastId}`, work)
        return reply.code(202).send({ ok: true })
      })
    }),
    unnamed: serving((app) => {
      app.post('/', async (_, reply) => {
        app.addTask(work)
        return reply.code(202).send({ ok: true })
      })
    }),
    named: serving((app) => {
      app.post('/', async (_, reply) => {
        app.addTask(work, { name: `report:${++lastId}` })
        return reply.code(202).send({ ok: true })
      })
    })
  },
  lines: [
    // Requests per second of a server that is busy: the inverse of its CPU for each.
    ...['unnamed', 'named'].map((way) => (
      { what: `requests per second, adding a task, ${way}`, against: '`promise.catch()`', value: ratio('promise.catch()', way), atLeast: 0.9 }
    )),
    { what: 'CPU time of a request that adds a named task', against: 'the same kept by hand', value: ratio('named', 'by hand'), atMost: 1.05 }
  ]
}

export default [http]
