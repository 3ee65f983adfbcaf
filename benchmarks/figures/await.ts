import { readyApp } from '../app'
import { ByHandAwaited } from '../by-hand'
import { cpuTime, ratio, type Figure, type Round } from '../harness'

const COUNT = 10_000

async function work (): Promise<void> {}

/** CPU time of one task, of a batch that begins when the garbage of the last one has been collected. */
function batch (run: () => unknown): Round {
  return async () => {
    global.gc!()
    return await cpuTime(run) / COUNT
  }
}

async function oneByOne (tasks: Iterable<PromiseLike<unknown>>): Promise<void> {
  for (const task of tasks) await task
}

function awaited (how: string, all: (tasks: Array<PromiseLike<unknown>>) => Promise<unknown>): Figure {
  return {
    title: `await: tasks that do nothing, awaited ${how} and purged`,
    unit: 'ns CPU',
    floor: 'by hand',
    rounds: 15,
    warmups: 5,
    variants: {
      'by hand' () {
        const tasks = new ByHandAwaited()
        return batch(async () => {
          await all(Array.from({ length: COUNT }, (_, i) => tasks.add(`task:${i}`, work).done))
          tasks.purge()
        })
      },
      async named () {
        const app = await readyApp({ keepEnded: COUNT })
        return batch(async () => {
          await all(Array.from({ length: COUNT }, (_, i) => app.addTask(work, { name: `task:${i}` })))
          app.purgeTasks()
        })
      },
      async unnamed () {
        const app = await readyApp()
        return batch(() => all(Array.from({ length: COUNT }, () => app.addTask(work))))
      }
    },
    lines: ['named', 'unnamed'].map((way) => (
      { what: `add → await ${how} → purge, ${way}`, against: 'by hand with a promise each', value: ratio(way, 'by hand'), atMost: 1.4 }
    ))
  }
}

export default [awaited('together', (tasks) => Promise.all(tasks)), awaited('one by one', oneByOne)]
