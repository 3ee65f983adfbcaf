import Fastify, { type FastifyInstance } from 'fastify'
import websocket, { type WebSocket } from '@fastify/websocket'
import type { AddressInfo } from 'node:net'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import fastifyTasks from '../../index'
import { until } from '../app'
import { cpuTime, heapUsed, ratio, type Figure, type Round } from '../harness'

const TTL = 60_000

interface Server {
  app: FastifyInstance
  /** Receivers that are kept. */
  size: () => number
}

/** Sends what it is told to; the receiver of the pattern does the listening. */
function bare (): Server {
  const app = Fastify()
  app.register(websocket)
  app.register(async (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (message) => socket.send(message))
    })
  })
  return { app, size: () => 0 }
}

/** A receiver for each client: found by name, cancelled when the client is silent for a while, waited for at the end. */
interface Receiver {
  controller: AbortController
  done: Promise<void>
  timer: NodeJS.Timeout
}

function receive (socket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      socket.terminate()
      resolve()
    }, { once: true })
  })
}

function byHand (): Server {
  const receivers = new Map<string, Receiver>()
  let lastId = 0
  const app = Fastify()
  app.register(websocket)
  app.register(async (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const name = `receiver:${++lastId}`
      const controller = new AbortController()
      const done = receive(socket, controller.signal).then(
        () => { receivers.delete(name) },
        (error) => app.log.error(error)
      )
      const timer = setTimeout(() => controller.abort(new Error('silent')), TTL)
      receivers.set(name, { controller, done, timer })
      socket.on('message', (message) => {
        timer.refresh()
        socket.send(message)
      })
      socket.on('close', () => {
        clearTimeout(timer)
        controller.abort()
      })
    })
  })
  return { app, size: () => receivers.size }
}

function withTasks (): Server {
  const app = Fastify()
  let lastId = 0
  app.register(fastifyTasks, { keepEnded: 0 })
  app.register(websocket)
  app.register(async (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const receiver = app.addTask((_, { signal }) => receive(socket, signal), { name: `receiver:${++lastId}`, ttl: TTL })
      socket.on('message', (message) => {
        receiver.heartbeat()
        socket.send(message)
      })
      socket.on('close', () => receiver.cancel())
    })
  })
  return { app, size: () => app.tasks.size }
}

type What = 'time' | 'memory'

/** Clients connect, say one thing each, hear it back, and leave all at once. */
function serving (make: () => Server, clients: number, what: What): () => Promise<Round> {
  return async () => {
    const { app, size } = make()
    await app.listen({ port: 0, host: '127.0.0.1' })
    const crowd = fork(join(__dirname, '../feed-clients.js'), [String((app.server.address() as AddressInfo).port), String(clients)])
    const sockets = (): number => app.websocketServer.clients.size
    return async () => {
      const before = what === 'memory' ? heapUsed() : 0
      let memory = 0
      const cpu = await cpuTime(async () => {
        await ask(crowd, 'connect')
        if (what === 'memory') memory = heapUsed() - before
        await ask(crowd, 'leave')
        await until(() => sockets() === 0 && size() === 0)
      })
      return (what === 'memory' ? memory : cpu) / clients
    }
  }
}

async function ask (crowd: ChildProcess, request: 'connect' | 'leave'): Promise<void> {
  crowd.send(request)
  await once(crowd, 'message')
}

function feed (clients: number, what: What): Figure {
  const memory = what === 'memory'
  const count = clients.toLocaleString('en')
  const title = `${what} of ${count} WebSocket clients with a receiver each`
  return {
    title: `feed: ${title}`,
    unit: memory ? 'B of heap a client' : 'ns CPU a client',
    floor: 'by hand',
    processes: 1,
    rounds: memory ? 1 : Math.ceil(5_000 / clients),
    warmups: 1,
    variants: {
      bare: serving(bare, clients, what),
      'by hand': serving(byHand, clients, what),
      tasks: serving(withTasks, clients, what)
    },
    lines: [
      { what: title, against: 'the receiver by hand', value: ratio('tasks', 'by hand'), atMost: 1 },
      { what: 'the same', against: 'the bare feed', value: ratio('tasks', 'bare') }
    ]
  }
}

export default [feed(1_000, 'time'), feed(5_000, 'time'), feed(1_000, 'memory'), feed(5_000, 'memory')]
