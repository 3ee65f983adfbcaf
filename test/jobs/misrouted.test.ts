import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { MisroutedJobs } from '../../lib/jobs/misrouted'
import type { Stored } from '../../lib/jobs/serialization'
import { timers } from '../../lib/shared/timers'
import { stored } from '../fixtures/engine'
import { memoryEngine, MemoryQueue } from '../fixtures/memory-engine'

const NOW = 1_000_000

/** Those of a process that has defined the kinds. What it publishes, it hears. */
function misroutedOf (t: Test, { kinds = [] as string[], hasRoom = true } = {}) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: NOW })
  const real = { ...timers }
  Object.assign(timers, { setTimeout, clearTimeout })
  t.teardown(() => {
    Object.assign(timers, real)
    mock.timers.reset()
  })
  const queue = new MemoryQueue()
  const { engine, published, events } = memoryEngine(queue)
  const room = { has: hasRoom }
  const misrouted = new MisroutedJobs(engine, {
    get: (kind) => kinds.includes(kind) ? {} as never : undefined,
    namesOf: () => kinds
  }, () => room.has)
  return { misrouted, queue, engine, events, published, room }
}

const settled = (): Promise<void> => new Promise(setImmediate)
const misrouted = (times: number, more: object = {}): Stored => stored({ name: 'special', data: { name: 'a', data: {}, misrouted: times }, ...more })
const told = (event: string, ...kinds: string[]): object => ({ queue: 'default', event, jobId: '', kinds: JSON.stringify(kinds) })
const tell = (kinds: string[]): object => ({ queue: 'default', kinds: JSON.stringify(kinds) })

t.test('a job is put back for four times as long each time, up to five minutes', async (t) => {
  const { misrouted: jobs } = misroutedOf(t)
  t.equal(jobs.nextTime(stored({ data: null })), NOW + 25)
  t.equal(jobs.nextTime(misrouted(1)), NOW + 100)
  t.equal(jobs.nextTime(misrouted(3)), NOW + 1_600)
  t.equal(jobs.nextTime(misrouted(9)), NOW + 300_000)
})

t.test('jobs that came equally often come back one after another', async (t) => {
  const { misrouted: jobs } = misroutedOf(t)
  t.same([jobs.nextTime(misrouted(1)), jobs.nextTime(misrouted(1)), jobs.nextTime(misrouted(1))], [NOW + 100, NOW + 150, NOW + 200])
  t.equal(jobs.nextTime(misrouted(50)), NOW + 300_000)
  t.equal(jobs.nextTime(misrouted(51)), NOW + 300_050, 'beyond the longest time they count as equal')
})

t.test('the fleet is asked for the kinds of what was put back, more and more seldom', async (t) => {
  const { misrouted: jobs, published } = misroutedOf(t)
  jobs.remember('default', misrouted(1), NOW + 60_000)
  jobs.remember('default', misrouted(1, { id: 'other', name: 'rare' }), NOW + 60_000)
  jobs.remember('default', misrouted(2, { id: 'third' }), NOW + 60_000)
  mock.timers.tick(249)
  t.same(published, [])
  mock.timers.tick(1)
  await settled()
  t.same(published, [told('parked', 'special', 'rare')])
  jobs.remember('default', misrouted(2), NOW + 60_000)
  mock.timers.tick(499)
  await settled()
  t.equal(published.length, 1)
  mock.timers.tick(1)
  await settled()
  t.equal(published.length, 2)
})

t.test('a job that has just come is asked for at once, however often others were', async (t) => {
  const { misrouted: jobs, published } = misroutedOf(t)
  jobs.remember('default', misrouted(5), NOW + 60_000)
  mock.timers.tick(250)
  jobs.remember('default', misrouted(5), NOW + 60_000)
  jobs.remember('default', stored({ name: 'special' }), NOW + 60_000)
  mock.timers.tick(250)
  await settled()
  t.equal(published.length, 2)
})

t.test('a process that has the kind and room says so, and one without the kind says nothing', async (t) => {
  const { events, published } = misroutedOf(t, { kinds: ['special'] })
  events.emit('parked', tell(['other', 'special']))
  await settled()
  t.same(published, [told('room', 'special')])
  events.emit('parked', tell(['other']))
  await settled()
  t.equal(published.length, 1)
})

t.test('what another tool has published under these names is passed over', async (t) => {
  const { events, published } = misroutedOf(t, { kinds: ['special'] })
  for (const kinds of [undefined, '{', '{}', 'null', '[null, 1]']) for (const event of ['parked', 'room']) events.emit(event, { queue: 'default', kinds })
  await settled()
  t.same(published, [])
})

t.test('a process that is full says that it has room when one of its jobs has ended', async (t) => {
  const { misrouted: jobs, events, published } = misroutedOf(t, { kinds: ['special', 'rare'], hasRoom: false })
  events.emit('parked', tell(['special']))
  events.emit('parked', tell(['rare']))
  await settled()
  t.same(published, [])
  jobs.onRoom('default')
  await settled()
  t.same(published, [told('room', 'special', 'rare')])
  jobs.onRoom('default')
  await settled()
  t.equal(published.length, 1, 'once')
})

t.test('jobs are woken for who has room, but for those that have come back', async (t) => {
  const { misrouted: jobs, queue, events } = misroutedOf(t)
  for (const [id, at] of [['late', NOW + 1], ['soon', NOW], ['gone', NOW + 1]] as const) jobs.remember('default', misrouted(1, { id }), at)
  queue.put({ id: 'late', state: 'delayed' })
  events.emit('room', tell(['unheard of', 'special']))
  events.emit('room', { queue: 'nowhere', kinds: '["special"]' })
  await settled()
  t.same(queue.asked, ['promote late', 'promote gone'])
  t.equal(queue.entries.get('late')!.state, 'waiting')
  events.emit('room', tell(['special']))
  await settled()
  t.equal(queue.asked.length, 2, 'and are forgotten')
})

t.test('a hundred jobs are woken at once, and the fleet is asked for the others', async (t) => {
  const { misrouted: jobs, queue, events, published } = misroutedOf(t)
  for (let i = 0; i < 101; i++) jobs.remember('default', misrouted(1, { id: String(i) }), NOW + 60_000)
  events.emit('room', tell(['special']))
  await settled()
  t.equal(queue.asked.length, 100)
  mock.timers.tick(250)
  await settled()
  t.same(published, [told('parked', 'special')])
  events.emit('room', tell(['special']))
  await settled()
  t.equal(queue.asked.at(-1), 'promote 100')
})

t.test('a job that was woken and came here again is asked for soon, however seldom others are', async (t) => {
  const { misrouted: jobs, events, published } = misroutedOf(t)
  for (let i = 0; i < 5; i++) {
    jobs.remember('default', misrouted(5, { name: 'unheard of' }), NOW + 60_000)
    mock.timers.tick(250 * 2 ** i)
  }
  jobs.remember('default', misrouted(5, { name: 'unheard of' }), NOW + 60_000)
  await settled()
  published.length = 0
  // It was on its way from here to here when another had room.
  events.emit('room', tell(['special']))
  jobs.remember('default', misrouted(5), NOW + 60_000)
  mock.timers.tick(250)
  await settled()
  t.same(published, [told('parked', 'unheard of', 'special')])
})

t.test('what is left after others had room is asked for soon, and nothing if none is left', async (t) => {
  const { misrouted: jobs, events, published } = misroutedOf(t)
  for (let i = 0; i < 101; i++) jobs.remember('default', misrouted(5, { id: String(i) }), NOW + 60_000)
  mock.timers.tick(250)
  jobs.remember('default', misrouted(5, { id: '0' }), NOW + 60_000)
  await settled()
  t.equal(published.length, 1)
  events.emit('room', tell(['special']))
  mock.timers.tick(250)
  await settled()
  t.equal(published.length, 2)
  events.emit('room', tell(['special']))
  mock.timers.tick(1_000)
  await settled()
  t.equal(published.length, 2)
})

t.test('of ten thousand jobs of a kind the oldest is forgotten for another', async (t) => {
  const { misrouted: jobs, queue, events } = misroutedOf(t)
  for (let i = 0; i <= 10_000; i++) jobs.remember('default', misrouted(1, { id: String(i) }), NOW + 60_000)
  events.emit('room', tell(['special']))
  await settled()
  t.equal(queue.asked[0], 'promote 1')
})

t.test('a process that begins to work wakes what waits for its kinds, and no other job that is delayed', async (t) => {
  const { misrouted: jobs, queue, published } = misroutedOf(t, { kinds: ['special'] })
  const waits = { state: 'delayed', name: 'special', data: { name: 'a', data: {}, misrouted: 1 } }
  queue.put({ ...waits, id: 'waits' })
  queue.put({ ...waits, id: 'of another kind', name: 'other' })
  queue.put({ ...waits, id: 'delayed by its caller', data: { name: 'a', data: {} } })
  queue.put({ ...waits, id: 'broken', data: null as never, opts: {} })
  const read = queue.getJobs
  queue.getJobs = async function (...args) { return [undefined, ...await read.apply(this, args)] }
  jobs.announce('default')
  await settled()
  t.same(published, [told('room', 'special')])
  t.same(queue.asked, ['getJobs delayed', 'promote waits'])
})

t.test('a process without kinds announces nothing', async (t) => {
  const { misrouted: jobs, queue, published } = misroutedOf(t)
  jobs.announce('default')
  await settled()
  t.same([...queue.asked, ...published], [])
})

t.test('a store that is away is no error', async (t) => {
  const { misrouted: jobs, engine, queue } = misroutedOf(t, { kinds: ['special'] })
  engine.publish = async () => { throw new Error('away') }
  queue.getJobs = async () => { throw new Error('away') }
  jobs.announce('default')
  await settled()
  t.same(queue.asked, [])
})

t.test('nobody is asked once it is closed', async (t) => {
  const { misrouted: jobs, published } = misroutedOf(t)
  jobs.remember('default', misrouted(1), NOW + 60_000)
  jobs.close()
  mock.timers.tick(60_000)
  await settled()
  t.same(published, [])
})
