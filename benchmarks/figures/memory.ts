import { setTimeout as sleep } from 'node:timers/promises'
import { readyApp } from '../app'
import { ByHand, ByHandWithSignal } from '../by-hand'
import { heapUsed, ratio, type Figure, type Round } from '../harness'

const COUNT = 50_000

// Shared: the work's own promise is the user's, and not counted.
const never = new Promise<void>(() => {})
const work = (): Promise<void> => never
const seen: { signal: AbortSignal | undefined } = { signal: undefined }

/** Heap of one of many, once they run. */
function each (add: (i: number) => unknown): Round {
  return async () => {
    const before = heapUsed()
    for (let i = 0; i < COUNT; i++) add(i)
    await sleep(100)
    return (heapUsed() - before) / COUNT
  }
}

const memory: Figure = {
  title: 'memory: a live task',
  unit: 'B of heap',
  floor: 'by hand',
  processes: 2,
  rounds: 1,
  warmups: 0,
  variants: {
    'by hand' () {
      const tasks = new ByHand()
      return each((i) => { tasks.add(`task:${i}`, work) })
    },
    'by hand with signal' () {
      const tasks = new ByHandWithSignal()
      return each((i) => {
        tasks.add(`task:${i}`, (signal) => {
          seen.signal = signal
          return never
        })
      })
    },
    async addTask () {
      const app = await readyApp()
      return each((i) => { app.addTask(work, { name: `task:${i}` }) })
    },
    async 'with signal' () {
      const app = await readyApp()
      return each((i) => {
        app.addTask((_, { signal }) => {
          seen.signal = signal
          return never
        }, { name: `task:${i}` })
      })
    },
    async 'with lease' () {
      const app = await readyApp()
      return each((i) => { app.addTask(work, { name: `task:${i}`, ttl: 600_000 }) })
    }
  },
  lines: [
    { what: 'heap of a live task', against: 'nothing', value: (round) => round.addTask, unit: ' B', atMost: 480 },
    { what: 'the same, its `signal` used', against: 'by hand with an `AbortController`', value: ratio('with signal', 'by hand with signal'), atMost: 1.1 },
    { what: 'what a lease adds', against: 'the same without', value: (round) => round['with lease'] - round.addTask, unit: ' B', atMost: 150 }
  ]
}

export default [memory]
