import { hostname } from 'node:os'
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

t.test('an app has one identity, in all of its plugins', async (t) => {
  const app = await readyApp(t)
  const { id } = processIdentityOf(app)
  t.equal(((await controlBackendOf(app, kTasksControlBackend)!.summary()).process).id, id)
  t.not(processIdentityOf(await readyApp(t)).id, id)
})
