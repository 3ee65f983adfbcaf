import { setTimeout as sleep } from 'node:timers/promises'
import { readyApp, until } from '../app'
import { cpuTime, ratio, type Figure, type Round } from '../harness'

const BEATS = 1_000_000
const LEASES = 100_000

const heartbeat: Figure = {
  title: 'lease: a heartbeat',
  unit: 'ns CPU',
  floor: 'a clock read',
  variants: {
    'a clock read' () {
      let last = 0
      return async () => {
        const cost = await cpuTime(() => {
          for (let i = 0; i < BEATS; i++) last = Date.now()
        })
        return last > 0 ? cost / BEATS : NaN
      }
    },
    async heartbeat () {
      const app = await readyApp()
      const never = new Promise<void>(() => {})
      const tasks = Array.from({ length: 1000 }, () => app.addTask(never, { ttl: 60_000 }))
      return async () => await cpuTime(() => {
        for (let i = 0; i < BEATS; i++) tasks[i % tasks.length].heartbeat()
      }) / BEATS
    }
  },
  lines: [{ what: 'a heartbeat', against: 'a clock read', value: ratio('heartbeat', 'a clock read'), atMost: 1 }]
}

// A process that is woken a hundred times a second anyway, by its clients.
const TURN = 10
const TURNS = 100
/** As long as a lease: each is looked at once. */
const SECONDS = 3

/** Percent of a core over some seconds, in each of which every task gets one heartbeat. */
function beating (ttl: number | undefined): () => Promise<Round> {
  return async () => {
    const app = await readyApp()
    const never = new Promise<void>(() => {})
    const tasks = Array.from({ length: LEASES }, () => app.addTask(never, { ttl }))
    const beatAll = (): void => tasks.forEach((task) => task.heartbeat())
    // While the other variants have their rounds.
    let between = setInterval(beatAll, 500)
    return async () => {
      clearInterval(between)
      let live = 0
      const startedAt = performance.now()
      const cpu = await cpuTime(async () => {
        for (let turn = 0; turn < SECONDS * TURNS; turn++) {
          for (let i = turn % TURNS; i < LEASES; i += TURNS) {
            if (tasks[i].heartbeat()) live++
          }
          await sleep(Math.max(0, startedAt + (turn + 1) * TURN - performance.now()))
        }
      })
      if (live < SECONDS * LEASES) throw new Error('A lease has lapsed')
      between = setInterval(beatAll, 500)
      return cpu / 1e6 / (performance.now() - startedAt) * 100
    }
  }
}

const leases: Figure = {
  title: 'lease: 100,000 leases of 3 s, one beat a second',
  unit: '% of a core',
  floor: 'no leases',
  rounds: 3,
  warmups: 1,
  processes: 2,
  variants: {
    'no leases': beating(undefined),
    leases: beating(3_000)
  },
  lines: [{
    what: '100,000 leases of 3 s at one beat a second',
    against: 'the same heartbeats without leases',
    value: (round) => round.leases - round['no leases'],
    unit: ' % of a core',
    atMost: 2
  }]
}

const LINKED = 10_000

/** A task that an outer signal may cancel comes and goes, beside others on the same signal. */
function linkedBeside (live: number): () => Promise<Round> {
  return async () => {
    const app = await readyApp({ keepEnded: 0 })
    const { signal } = new AbortController()
    const never = new Promise<void>(() => {})
    for (let i = 0; i < live; i++) app.addTask(never, { signal })
    return async () => await cpuTime(async () => {
      for (let i = 0; i < LINKED; i += 100) {
        for (let j = 0; j < 100; j++) app.addTask(async () => {}, { signal })
        await until(() => app.tasks.size === live)
      }
    }) / LINKED
  }
}

const outerSignal: Figure = {
  title: 'signal: a task on an outer signal shared with others',
  unit: 'ns CPU',
  floor: 'with 1',
  variants: { 'with 1': linkedBeside(1), 'with 100': linkedBeside(100), 'with 10,000': linkedBeside(10_000) },
  lines: ['100', '10,000'].map((live) => ({
    what: `link and unlink of a signal shared with ${live} live tasks`, against: 'with 1', value: ratio(`with ${live}`, 'with 1'), atMost: 1.5
  }))
}

export default [heartbeat, leases, outerSignal]
