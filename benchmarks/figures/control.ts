import Fastify, { type FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import fastifyTasks, { type Task } from '../../index'
import tasksFeed from '../../lib/control/feed'
import tasksRoutes from '../../lib/control/routes'
import { cpuTime, heapUsed, ratio, type Figure, type Round } from '../harness'

const TASKS = 10_000
const EVENTS_PER_SECOND = 200
const EVERY = 20
const DURATION = 10_000

async function appWith (count: number): Promise<{ app: FastifyInstance, tasks: Task[] }> {
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const tasks = Array.from({ length: count }, (_, i) => app.addTask(() => new Promise(() => {}), { name: `report:${i}`, group: `user:${i % 100}` }))
  await wait(100)
  return { app, tasks }
}

async function answer (child: ChildProcess): Promise<number> {
  const [value] = await once(child, 'message')
  return value as number
}

/** Waits until the clients have got all that was live. */
async function settled (readers: ChildProcess): Promise<void> {
  for (let before = -1, now = 0; now !== before;) {
    await wait(1_000)
    before = now
    readers.send('bytes')
    now = await answer(readers)
  }
}

/** What the feed does to the app in which things happen. */
function telling (clients: number, what: 'delay' | 'memory'): () => Promise<Round> {
  return async () => {
    const { app, tasks } = await appWith(TASKS)
    if (clients > 0) {
      const readers = fork(join(__dirname, '../feed-readers.js'), [String((app.server.address() as AddressInfo).port), String(clients)])
      await answer(readers)
      await settled(readers)
    }
    let next = 0
    return async () => {
      const before = what === 'memory' ? heapUsed() : 0
      const histogram = monitorEventLoopDelay({ resolution: 1 })
      histogram.enable()
      const timer = setInterval(() => {
        for (let i = 0; i < EVENTS_PER_SECOND * EVERY / 1000; i++) tasks[next++ % TASKS].updateProgress(next % 100)
      }, EVERY)
      await wait(DURATION)
      clearInterval(timer)
      histogram.disable()
      await wait(200)
      return what === 'memory' ? (heapUsed() - before) / 2 ** 20 : histogram.percentile(99) / 1e6
    }
  }
}

function feed (what: 'delay' | 'memory', limit: number): Figure {
  const unit = what === 'memory' ? ' MiB' : ' ms'
  const title = what === 'memory'
    ? 'feed: growth of the heap in 10 s, 1,000 clients, 10,000 tasks, 200 events/s'
    : 'feed: event-loop delay (p99), 1,000 clients, 10,000 tasks, 200 events/s'
  return {
    title,
    unit: unit.trim(),
    floor: 'no clients',
    processes: 1,
    rounds: 3,
    warmups: 1,
    variants: { 'no clients': telling(0, what), '1,000 clients': telling(1_000, what) },
    lines: [
      { what: title, against: 'an absolute bound', value: (round) => round['1,000 clients'], unit, atMost: limit },
      { what: 'the same', against: 'no clients', value: (round) => round['1,000 clients'] - round['no clients'], unit }
    ]
  }
}

const PAGES = 100

function paging (count: number, query: string): () => Promise<Round> {
  return async () => {
    const { app } = await appWith(count)
    return async () => await cpuTime(async () => {
      for (let i = 0; i < PAGES; i++) await app.inject(`/tasks?${query}`)
    }) / PAGES
  }
}

/** How long the event loop is blocked while pages are asked for, some in which nothing matches. */
function blocking (count: number): () => Promise<Round> {
  return async () => {
    const { app } = await appWith(count)
    return async () => {
      let longest = 0
      let last = performance.now()
      let turning: NodeJS.Immediate
      const turn = (): void => {
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
        turning = setImmediate(turn)
      }
      turning = setImmediate(turn)
      for (const query of ['', 'q=nothing', 'group=user:7', 'state=running&limit=100', 'prefix=nothing']) await app.inject(`/tasks?${query}`)
      clearImmediate(turning)
      return longest
    }
  }
}

const page: Figure = {
  title: 'routes: a page of 100 tasks',
  unit: 'ns CPU a page',
  floor: 'beside 1,000',
  variants: { 'beside 1,000': paging(1_000, ''), 'beside 100,000': paging(100_000, '') },
  lines: [{ what: 'a page of 100 beside 100,000 tasks', against: 'beside 1,000', value: ratio('beside 100,000', 'beside 1,000'), atMost: 1.1 }]
}

const blocked: Figure = {
  title: 'routes: longest block of the event loop by pages beside 100,000 tasks',
  unit: 'ms',
  floor: 'beside 100,000',
  variants: { 'beside 100,000': blocking(100_000) },
  lines: [{ what: 'longest block of the loop by pages beside 100,000 tasks', against: 'an absolute bound', value: (round) => round['beside 100,000'], unit: ' ms', atMost: 5 }]
}

export default [feed('delay', 50), feed('memory', 5), page, blocked]
