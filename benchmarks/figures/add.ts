import { join } from 'node:path'
import type { TaskOptions } from '../../index'
import { readyApp, until } from '../app'
import { ByHand, ByHandWithSignal } from '../by-hand'
import { cpuTime, ratio, wallTime, type Figure, type Round, type Variant } from '../harness'

const COUNT = 10_000

async function work (): Promise<void> {}

const BATCHES = 4

/** Time of one task, of many at a time, with their share of the garbage collection. */
function each (run: () => unknown, { count = COUNT, time = cpuTime } = {}): Round {
  return async () => await time(async () => {
    for (let i = 0; i < BATCHES; i++) await run()
  }) / count / BATCHES
}

function byHand (time?: typeof cpuTime): Variant {
  return () => {
    const tasks = new ByHand()
    return each(() => {
      for (let i = 0; i < COUNT; i++) tasks.add(`task:${i}`, work)
      return until(() => tasks.live.size === 0)
    }, { time })
  }
}

function named (optionsOf: (name: string) => TaskOptions = (name) => ({ name }), time?: typeof cpuTime): Variant {
  return async () => {
    const app = await readyApp({ keepEnded: 0 })
    app.defineTaskGroup('limited', { concurrency: 100 })
    return each(() => {
      for (let i = 0; i < COUNT; i++) app.addTask(work, optionsOf(`task:${i}`))
      return until(() => app.tasks.size === 0)
    }, { time })
  }
}

const shortTask: Figure = {
  title: 'add: a task that does nothing',
  unit: 'ns CPU',
  floor: 'by hand',
  variants: {
    'by hand': byHand(),
    'addTask, named': named(),
    async 'p-limit' () {
      const { default: pLimit } = await import('p-limit')
      const limit = pLimit(COUNT)
      return each(() => Promise.all(Array.from({ length: COUNT }, () => limit(work))))
    },
    async 'p-queue' () {
      const { default: PQueue } = await import('p-queue')
      const queue = new PQueue()
      return each(() => {
        for (let i = 0; i < COUNT; i++) queue.add(work, { id: `task:${i}` })
        return queue.onIdle()
      })
    },
    async 'toad-scheduler' () {
      const { ToadScheduler, SimpleIntervalJob, AsyncTask } = await import('toad-scheduler')
      const scheduler = new ToadScheduler()
      return each(async () => {
        let left = COUNT
        for (let i = 0; i < COUNT; i++) {
          const id = `task:${i}`
          const task = new AsyncTask(id, async () => {
            await work()
            scheduler.removeById(id)
            left--
          })
          scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ hours: 1, runImmediately: true }, task, { id }))
        }
        await until(() => left === 0)
      })
    },
    async 'FiberMap, from plain code' () {
      const { Effect, FiberMap } = await import('effect')
      const promise = Effect.promise(work)
      return each(() => Effect.runPromise(Effect.scoped(Effect.gen(function * () {
        const fibers = yield * FiberMap.make<string>()
        const run = yield * FiberMap.runtime(fibers)()
        for (let i = 0; i < COUNT; i++) run(`task:${i}`, promise)
        yield * FiberMap.awaitEmpty(fibers)
      }))))
    },
    async 'FiberMap, inside one Effect' () {
      const { Effect, FiberMap } = await import('effect')
      const promise = Effect.promise(work)
      return each(() => Effect.runPromise(Effect.scoped(Effect.gen(function * () {
        const fibers = yield * FiberMap.make<string>()
        for (let i = 0; i < COUNT; i++) yield * FiberMap.run(fibers, `task:${i}`, promise)
        yield * FiberMap.awaitEmpty(fibers)
      }))))
    },
    async piscina () {
      const { Piscina } = await import('piscina')
      const pool = new Piscina({ filename: join(__dirname, '../piscina-worker.js'), maxThreads: 1 })
      return each(() => Promise.all(Array.from({ length: 1000 }, () => pool.run(undefined))), { count: 1000 })
    }
  },
  lines: [
    { what: 'add → start → end, named', against: 'by hand', value: ratio('addTask, named', 'by hand'), atMost: 1.2 },
    ...['from plain code', 'inside one Effect'].map((way) => (
      { what: 'the same', against: `Effect FiberMap, ${way}`, value: ratio('addTask, named', `FiberMap, ${way}`), atMost: 0.25 }
    )),
    ...['p-limit', 'p-queue', 'toad-scheduler', 'piscina'].map((peer) => (
      { what: 'the same', against: peer, value: ratio('addTask, named', peer), atMost: 1 }
    ))
  ]
}

const byTheClock: Figure = {
  title: 'add: a task that does nothing, by the clock',
  unit: 'ns',
  floor: 'by hand',
  variants: { 'by hand': byHand(wallTime), 'addTask, named': named(undefined, wallTime) },
  lines: [{ what: 'add → start → end, named, wall-clock time', against: 'by hand', value: ratio('addTask, named', 'by hand'), atMost: 1.35 }]
}

const inGroup: Figure = {
  title: 'groups: a task that does nothing',
  unit: 'ns CPU',
  floor: 'without a group',
  variants: {
    'without a group': named(),
    'in a group': named((name) => ({ name, group: 'any' })),
    'in a limited group': named((name) => ({ name, group: 'limited' }))
  },
  lines: [
    { what: 'a task of a group', against: 'without a group', value: ratio('in a group', 'without a group'), atMost: 1.3 },
    { what: 'a task of a group of which 100 run at a time', against: 'without a group', value: ratio('in a limited group', 'without a group'), atMost: 1.3 }
  ]
}

/** Tasks of a group that each start the next, with so many pending: CPU time of one. */
function amongPending (count: number): Variant {
  return async () => {
    const app = await readyApp({ keepEnded: 0 })
    app.defineTaskGroup('limited', { concurrency: 1 })
    let left = 0
    let proceed = (): void => {}
    const step = async (): Promise<void> => {
      if (left-- <= 0) await new Promise<void>((resolve) => { proceed = resolve })
      app.addTask(step, { group: 'limited' })
    }
    for (let i = 0; i <= count; i++) app.addTask(step, { group: 'limited' })
    await until(() => left < 0)
    return each(() => {
      left = COUNT
      proceed()
      return until(() => left < 0)
    })
  }
}

const pendingInGroup: Figure = {
  title: 'groups: a task beside pending ones',
  unit: 'ns CPU',
  floor: 'beside 100',
  variants: { 'beside 100': amongPending(100), 'beside 100,000': amongPending(100_000) },
  lines: [{ what: 'a task of a limited group beside 100,000 pending', against: 'beside 100', value: ratio('beside 100,000', 'beside 100'), atMost: 1.5 }]
}

const withSignal: Figure = {
  title: 'add: a task that looks at its signal',
  unit: 'ns CPU',
  floor: 'by hand',
  variants: {
    'by hand' () {
      const tasks = new ByHandWithSignal()
      const look = async (signal: AbortSignal): Promise<void> => { signal.throwIfAborted() }
      return each(() => {
        for (let i = 0; i < COUNT; i++) tasks.add(`task:${i}`, look)
        return until(() => tasks.live.size === 0)
      })
    },
    async addTask () {
      const app = await readyApp({ keepEnded: 0 })
      const look = async (_: unknown, { signal }: { signal: AbortSignal }): Promise<void> => { signal.throwIfAborted() }
      return each(() => {
        for (let i = 0; i < COUNT; i++) app.addTask(look, { name: `task:${i}` })
        return until(() => app.tasks.size === 0)
      })
    }
  },
  lines: [{ what: 'the same, its `signal` used', against: 'by hand with an `AbortController`', value: ratio('addTask', 'by hand'), atMost: 1.15 }]
}

export default [shortTask, withSignal, byTheClock, inGroup, pendingInGroup]
