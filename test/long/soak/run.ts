// npm run soak -- 600            ten minutes of mixed load (the default: one)
// npm run soak -- --tasks 1e6    a million tasks of every kind come and go
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import mqemitter from 'mqemitter'
import fastifyTasks, { type Task } from '../../../index'
import tasksFeed from '../../../lib/control/feed'
import tasksRoutes from '../../../lib/control/routes'
import { untilAborted } from '../../fixtures/app'
import { comeAndGo, defineGroups } from './every-kind'

const { values, positionals } = parseArgs({ options: { tasks: { type: 'string' } }, allowPositionals: true })

/** What is held, after everything that can be collected has been. */
function held () {
  for (let i = 0; i < 4; i++) gc!()
  const handles: Record<string, number> = {}
  for (const handle of process.getActiveResourcesInfo()) handles[handle] = (handles[handle] ?? 0) + 1
  return { heap: process.memoryUsage().heapUsed / 2 ** 20, rss: process.memoryUsage().rss / 2 ** 20, handles }
}

const mb = (number: number): string => `${number.toFixed(1)} MB`

async function million (count: number): Promise<boolean> {
  const app = Fastify()
  await app.register(fastifyTasks)
  await app.ready()
  defineGroups(app)
  const outer = new AbortController()
  const listener = (): void => {}
  for (const event of ['start', 'progress', 'end'] as const) app.tasks.on(event, listener)
  await comeAndGo(app, 20_000, outer.signal)
  const before = held()
  const started = performance.now()
  await comeAndGo(app, count, outer.signal)
  const seconds = (performance.now() - started) / 1000
  const after = held()
  console.log(`${count} tasks in ${seconds.toFixed(0)} s; heap ${mb(before.heap)} → ${mb(after.heap)}; left: ${app.tasks.size}`)
  console.log(`handles ${JSON.stringify(before.handles)} → ${JSON.stringify(after.handles)}`)
  await app.close()
  return app.tasks.size === 0 && after.heap - before.heap < 2 && JSON.stringify(before.handles) === JSON.stringify(after.handles)
}

/** Two members of one fleet: what the clients ask of the first is done with the tasks of both. */
async function fleet (): Promise<FastifyInstance[]> {
  const emitter = mqemitter()
  const members = []
  for (let i = 0; i < 2; i++) {
    const app = Fastify()
    await app.register(fastifyTasks, { cancelTimeout: 100, closeTimeout: 500, keepEnded: 200, emitter })
    await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
    await app.register(tasksFeed, { prefix: '/feed', onRequest: [], maxBuffer: 65_536 })
    app.post<{ Params: { name: string }, Querystring: { way: string } }>('/add/:name', async (request, reply) => {
      const { name } = request.params
      const { way } = request.query
      request.addTask(async (app, task) => {
        if (way === 'short') return 1
        if (way === 'fails') throw new Error('a failing handler')
        task.updateProgress({ text: 'x'.repeat(1_000) })
        // Ignores its signal for longer than cancelTimeout, so that a cancel times out; but it ends.
        if (way === 'ignoresSignal') return await sleep(250)
        await untilAborted(app, task)
      }, { name, group: name.slice(0, name.lastIndexOf(':')), ttl: way === 'expires' ? 5 : 5_000 })
      return reply.code(202).send()
    })
    defineGroups(app)
    await app.listen({ host: '127.0.0.1', port: 0 })
    members.push(app)
  }
  return members
}

/** Of the members together. */
const live = (members: FastifyInstance[]): Task[] => members.flatMap((app) => app.getTasks({ state: ['pending', 'running', 'cancelling'] }))

async function mixedLoad (seconds: number): Promise<boolean> {
  const members = await fleet()
  const [app] = members
  const counts = { start: 0, end: 0, completed: 0, failed: 0, cancelled: 0, oldest: 0 }
  for (const { tasks } of members) {
    tasks.on('start', () => { counts.start++ })
    tasks.on('end', ({ state }) => {
      counts.end++
      counts[state as 'completed' | 'failed' | 'cancelled']++
    })
  }
  const listeners = (): number[] => members.flatMap(({ tasks }) => [tasks.listenerCount('start'), tasks.listenerCount('end')])
  const before = listeners()
  let added = 0
  // Counted from outside, so that a task that is lost cannot hide. A full group refuses some.
  const counted = Object.assign(Object.create(app), {
    addTask (...args: Parameters<typeof app.addTask>) {
      const task = app.addTask(...args)
      added++
      return task
    }
  })

  const origins = members.map((member) => `http://127.0.0.1:${(member.server.address() as AddressInfo).port}`)
  const clients = fork(join(__dirname, 'clients.mjs'), [String(seconds), ...origins], { execArgv: [] })
  const report = once(clients, 'message')
  const outer = new AbortController()
  const samples: number[] = []
  const until = performance.now() + seconds * 1000
  let nextSample = performance.now() + Math.min(5_000, seconds * 100)
  while (performance.now() < until) {
    await comeAndGo(counted, 200, outer.signal, 200)
    await sleep(20)
    for (const task of live(members)) counts.oldest = Math.max(counts.oldest, Date.now() - task.createdAt)
    if (performance.now() < nextSample) continue
    samples.push(held().heap)
    nextSample = performance.now() + Math.max(1_000, seconds * 25)
  }
  const [outside] = await report
  // The last leases expire, the last clients are gone.
  const isQuiet = (): boolean => live(members).length === 0 && isDeepStrictEqual(listeners(), before)
  for (let i = 0; i < 100 && !isQuiet(); i++) await sleep(100)
  const stuck = live(members).map(({ name }) => name)
  const left = listeners()
  const closing = performance.now()
  for (const member of members) await member.close()
  const closed = performance.now() - closing

  const third = Math.max(1, Math.floor(samples.length / 3))
  const mean = (list: number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length
  const growth = mean(samples.slice(-third)) - mean(samples.slice(0, third))
  console.log(`${seconds} s: ${counts.end} tasks ended (${counts.completed} completed, ${counts.failed} failed, ${counts.cancelled} cancelled), ${(counts.end / seconds).toFixed(0)} a second`)
  console.log(`${added} added within the process, ${outside.added} by HTTP; stuck: ${JSON.stringify(stuck)}; oldest live seen ${counts.oldest} ms`)
  console.log(`clients ${JSON.stringify(outside)}`)
  console.log(`heap by time: ${samples.map((sample) => sample.toFixed(1)).join(' ')} MB; growth between the first and the last third ${mb(growth)}`)
  console.log(`listeners ${JSON.stringify(before)} → ${JSON.stringify(left)}; close took ${closed.toFixed(0)} ms; handles ${JSON.stringify(held().handles)}`)
  const failures = Object.keys(outside.statuses).filter((status) => Number(status) >= 500)
  return counts.end === added + outside.added && stuck.length === 0 && failures.length === 0 && growth < 10 && isDeepStrictEqual(left, before)
}

async function main (): Promise<void> {
  const ok = values.tasks === undefined ? await mixedLoad(Number(positionals[0] ?? 60)) : await million(Number(values.tasks))
  console.log(ok ? 'ok: nothing lost, nothing left' : 'NOT ok')
  process.exitCode = ok ? 0 : 1
}

main()
