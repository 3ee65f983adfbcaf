import { readyApp, until } from '../app'
import { cpuTime, ratio, type Figure, type Round } from '../harness'

const CLOSED = 5_000

/** A connection's task ends, its handler purges and looks another one up, beside `live` tasks that go on. */
function besides (live: number): () => Promise<Round> {
  return async () => {
    const app = await readyApp()
    const never = new Promise<void>(() => {})
    for (let i = 0; i < live; i++) app.addTask(never, { name: `live:${i}` })
    let looked = 0
    return async () => await cpuTime(async () => {
      for (let i = 0; i < CLOSED; i += 100) {
        for (let j = 0; j < 100; j++) {
          app.addTask(async () => {}, { name: `closed:${j}` }).then(() => {
            app.purgeTasks()
            if (app.getTask(`live:${j % live}`) !== undefined) looked++
          })
        }
        await until(() => app.tasks.size === live)
      }
      if (looked % CLOSED !== 0) throw new Error('A live task was not found')
    }) / CLOSED
  }
}

/** What Sanic does: looks at every task to find those that have ended. */
function scanBesides (live: number): () => Round {
  return () => {
    const tasks = new Map<string, { ended: boolean }>()
    for (let i = 0; i < live; i++) tasks.set(`live:${i}`, { ended: false })
    const closed = 20
    return async () => await cpuTime(async () => {
      for (let j = 0; j < closed; j++) {
        const task = { ended: false }
        tasks.set('closed', task)
        await undefined
        task.ended = true
        for (const [name, { ended }] of tasks) if (ended) tasks.delete(name)
      }
    }) / closed
  }
}

const purge: Figure = {
  title: 'purge: a task, a purge and a look-up for each closed connection',
  unit: 'ns CPU',
  floor: 'beside 1',
  variants: {
    'beside 1': besides(1),
    'beside 100': besides(100),
    'beside 10,000': besides(10_000),
    'beside 100,000': besides(100_000),
    'a scan of 100,000': scanBesides(100_000)
  },
  lines: [
    ...['100', '10,000', '100,000'].map((live) => ({
      what: `purge and look-up beside ${live} live tasks`, against: 'beside 1', value: ratio(`beside ${live}`, 'beside 1'), atMost: 1.5
    })),
    { what: 'the same', against: 'a scan of the registry', value: ratio('beside 100,000', 'a scan of 100,000'), atMost: 1 }
  ]
}

export default [purge]
