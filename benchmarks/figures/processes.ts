import type { FastifyInstance } from 'fastify'
import mqemitter from 'mqemitter'
import { controlBackendOf, kTasksControlBackend, type ControlBackend } from '../../lib/shared/control-backend'
import { readyApp } from '../app'
import { cpuTime, ratio, type Figure, type Round } from '../harness'

const TASKS = 5_000
const PAGES = 10
const BEATS = 5_000

const never = new Promise<void>(() => {})

/** Apps that share an emitter: what crosses between processes, without the way. */
async function processes (count: number): Promise<{ apps: FastifyInstance[], backend: ControlBackend }> {
  const emitter = mqemitter()
  const apps: FastifyInstance[] = []
  for (let i = 0; i < count; i++) apps.push(await readyApp({ emitter, peerTimeout: 60_000 }))
  return { apps, backend: controlBackendOf(apps[0], kTasksControlBackend)! }
}

/** Pages of 100, one after the other: ms of CPU of each process for a page. */
function pages (count: number): () => Promise<Round> {
  return async () => {
    const { apps, backend } = await processes(count)
    for (const [index, app] of apps.entries()) {
      for (let i = 0; i < TASKS; i++) app.addTask(never, { name: `${index}:${i}`, ttl: 2 ** 31 - 1 })
    }
    return async () => await cpuTime(async () => {
      let after: string | undefined
      for (let i = 0; i < PAGES; i++) {
        const page = await backend.list({ limit: 100, after })
        if (page.tasks.length !== 100) throw new Error('A page is not full')
        after = page.next
      }
    }) / 1e6 / PAGES / count
  }
}

const list: Figure = {
  title: 'processes: a page of 100',
  unit: 'ms CPU a process',
  floor: 'of one process',
  rounds: 5,
  variants: { 'of one process': pages(1), 'of eight': pages(8) },
  lines: [{
    what: 'a page of 100 over eight processes of 5,000 tasks', against: 'a page of 100 of one', value: (round) => round['of eight'], unit: ' ms a process', atMost: 50
  }]
}

/** Heartbeats, 100 at a time, to tasks of the last process: µs of CPU of all processes for one. */
function heartbeats (count: number): () => Promise<Round> {
  return async () => {
    const { apps, backend } = await processes(count)
    const names = Array.from({ length: 100 }, (_, i) => `x${i}`)
    for (const name of names) apps.at(-1)!.addTask(never, { name, ttl: 2 ** 31 - 1 })
    return async () => await cpuTime(async () => {
      for (let i = 0; i < BEATS; i += names.length) await Promise.all(names.map((name) => backend.heartbeat(name)))
    }) / 1e3 / BEATS
  }
}

const routed: Figure = {
  title: 'processes: a heartbeat',
  unit: 'µs CPU of all',
  floor: 'to this process',
  variants: { 'to this process': heartbeats(1), 'to another': heartbeats(2), 'to one of eight': heartbeats(8) },
  lines: [
    { what: 'a heartbeat that another process is asked for', against: 'one second for 5,000', value: (round) => round['to another'], unit: ' µs', atMost: 200 },
    { what: 'a heartbeat that seven others are asked for', against: 'two processes', value: ratio('to one of eight', 'to another') }
  ]
}

/** A short task where nobody listens: with an emitter it must cost what it costs without. */
function plain (shared: boolean): () => Promise<Round> {
  return async () => {
    const app = shared ? (await processes(2)).apps[0] : await readyApp()
    return async () => await cpuTime(async () => {
      for (let i = 0; i < BEATS; i += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, j) => app.addTask(async () => {}, { name: `x${j}` })))
      }
    }) / BEATS
  }
}

const unheard: Figure = {
  title: 'processes: a task that nobody listens to',
  unit: 'ns CPU',
  floor: 'without an emitter',
  variants: { 'without an emitter': plain(false), 'with one': plain(true) },
  lines: [{ what: 'a short task with an emitter', against: 'without one', value: ratio('with one', 'without an emitter'), atMost: 1.1 }]
}

export default [list, routed, unheard]
