import { hostname } from 'node:os'
import perfHooks from 'node:perf_hooks'
import { mock } from 'node:test'
import * as timers from 'node:timers/promises'
import t from 'tap'
import { controlBackendOf, kTasksControlBackend } from '../../lib/shared/control-backend'
import { readyApp } from '../fixtures/app'
import { processIdentity, processIdentityOf, processNumbers } from '../../lib/shared/process-info'

// Before it is faked.
const wait = timers.setTimeout

t.test('two apps of a process have ids of their own', async (t) => {
  const [one, other] = [processIdentity(), processIdentity()]
  t.match(one, { id: String, pid: process.pid, hostname: hostname() })
  t.not(one.id, other.id)
})

t.test('the event-loop delay is measured while somebody asks, and of late', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const identity = processIdentity()
  t.match(processNumbers(identity), { ...identity, uptime: Number, heapUsed: Number, eventLoopDelay: 0 })
  t.equal(processNumbers(identity).eventLoopDelay, 0, 'nothing was measured yet')
  await wait(50)
  const until = performance.now() + 120
  while (performance.now() < until) { /* blocks */ }
  await wait(30)
  t.ok(processNumbers(identity).eventLoopDelay >= 50)
  const now = performance.now()
  const { restore } = t.capture(performance, 'now', () => now + 11_000)
  t.ok(processNumbers(identity).eventLoopDelay >= 50)
  restore()
  t.equal(processNumbers(identity).eventLoopDelay, 0, 'a new window')
  mock.timers.tick(60_000)
  t.equal(processNumbers(identity).eventLoopDelay, 0)
  mock.timers.tick(60_000)
})

t.test('the delay is what the 99th percentile exceeds the resolution by, in ms, in a window of 10 s', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const calls: string[] = []
  const [enable, disable, reset] = ['enable', 'disable', 'reset'].map((name) => () => { calls.push(name) })
  const percentile = (rank: number): number => rank === 99 ? 70_260_000 : NaN
  const monitor = t.capture(perfHooks, 'monitorEventLoopDelay', () => ({ count: 1, percentile, enable, disable, reset }) as unknown as perfHooks.IntervalHistogram)
  let now = 1_000_000
  t.intercept(performance, 'now', { value: () => now })
  const identity = processIdentity()
  const delays = (...times: number[]): number[] => times.map((time) => {
    now += time
    return processNumbers(identity).eventLoopDelay
  })
  t.same(delays(0, 10_000, 1, 10_000), [0, 50.3, 50.3, 50.3])
  t.same(calls.splice(0), ['enable', 'reset'])
  mock.timers.tick(60_000)
  t.same(delays(0), [0])
  t.same(calls, ['disable', 'enable'])
  t.same(monitor.args(), [[{ resolution: 20 }], [{ resolution: 20 }]])
  mock.timers.tick(60_000)
})

t.test('the uptime is in ms', async (t) => {
  const before = process.uptime() * 1_000
  const { uptime } = processNumbers(processIdentity())
  t.ok(uptime >= Math.round(before) && uptime <= Math.round(process.uptime() * 1_000))
})

t.test('an app has one identity, in all of its plugins', async (t) => {
  const app = await readyApp(t)
  const { id } = processIdentityOf(app)
  t.equal(((await controlBackendOf(app, kTasksControlBackend)!.summary()).process).id, id)
  t.not(processIdentityOf(await readyApp(t)).id, id)
})
