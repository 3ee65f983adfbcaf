import { readyApp, until } from '../app'
import { ByHandWithSignal } from '../by-hand'
import { cpuTime, ratio, type Figure } from '../harness'

const COUNT = 100_000

/** What most tasks do all their life: wait until they are told to stop. */
function untilAborted (signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function manyByHand (): Promise<ByHandWithSignal> {
  const tasks = new ByHandWithSignal()
  for (let i = 0; i < COUNT; i++) tasks.add(`task:${i}`, untilAborted)
  const last = tasks.live.get(`task:${COUNT - 1}`)!
  await until(() => last.startedAt !== undefined)
  global.gc!()
  return tasks
}

async function manyTasks (): ReturnType<typeof readyApp> {
  const app = await readyApp({ keepEnded: 0, cancelTimeout: 60_000 })
  for (let i = 0; i < COUNT; i++) app.addTask((_, { signal }) => untilAborted(signal), { name: `task:${i}` })
  const last = app.getTask(`task:${COUNT - 1}`)!
  await until(() => last.state === 'running')
  global.gc!()
  return app
}

const cancelAll: Figure = {
  title: 'cancel: 100,000 live tasks, one by one, until all have settled',
  unit: 'ns CPU each',
  floor: 'by hand',
  rounds: 2,
  warmups: 0,
  variants: {
    'by hand' () {
      return async () => {
        const tasks = await manyByHand()
        return await cpuTime(() => {
          const reason = new Error('cancelled')
          return Promise.all(Array.from({ length: COUNT }, (_, i) => {
            const { controller, done } = tasks.live.get(`task:${i}`)!
            controller.abort(reason)
            return done
          }))
        }) / COUNT
      }
    },
    cancelTask () {
      return async () => {
        const app = await manyTasks()
        return await cpuTime(() => {
          const reason = new Error('cancelled')
          return Promise.all(Array.from({ length: COUNT }, (_, i) => app.cancelTask(`task:${i}`, reason)))
        }) / COUNT
      }
    }
  },
  lines: [{ what: 'cancel of 100,000 live tasks, all settled', against: 'by hand', value: ratio('cancelTask', 'by hand'), atMost: 1.25 }]
}

const close: Figure = {
  title: 'close: 100,000 live tasks',
  unit: 'ns CPU each',
  floor: 'by hand',
  rounds: 2,
  warmups: 0,
  variants: {
    'by hand' () {
      return async () => {
        const tasks = await manyByHand()
        return await cpuTime(async () => {
          const reason = new Error('closed')
          for (const { controller } of tasks.live.values()) controller.abort(reason)
          await Promise.all(Array.from(tasks.live.values(), ({ done }) => done))
        }) / COUNT
      }
    },
    'app.close' () {
      return async () => {
        const app = await manyTasks()
        return await cpuTime(() => app.close()) / COUNT
      }
    }
  },
  lines: [{ what: 'close with 100,000 live tasks', against: 'by hand', value: ratio('app.close', 'by hand'), atMost: 1.5 }]
}

export default [cancelAll, close]
