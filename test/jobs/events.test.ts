import { EventEmitter, on, once } from 'node:events'
import t from 'tap'
import type { Engine } from '../../lib/jobs/engine'
import { JobEvents } from '../../lib/jobs/events'
import type { Job } from '../../lib/jobs/job'
import { logged } from '../fixtures/app'
import Fastify from 'fastify'

const SOURCES = ['active', 'progress', 'completed', 'failed']

function partsOf (read: (queue: string, id: string) => Promise<object | undefined> = async (_queue, id) => ({ name: id, endedAt: 1, wasStarted: true })) {
  const { lines, logger } = logged()
  const { log } = Fastify({ logger })
  const source = new EventEmitter()
  const events = new JobEvents({ events: source } as unknown as Engine, read as any, log)
  const tell = (event: string, jobId = 'a'): void => { source.emit(event, { queue: 'default', jobId }) }
  return { events, source, tell, lines }
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

t.test('without listeners nothing is heard and nothing is read', async (t) => {
  let reads = 0
  const { events, source, tell } = partsOf(async () => { reads++; return undefined })
  const count = (): number => SOURCES.reduce((sum, name) => sum + source.listenerCount(name), 0)
  for (const name of SOURCES) tell(name)
  events.onRemoved('default', 'a')
  t.same([count(), reads], [0, 0])
  const listener = (): void => {}
  events.on('start', listener)
  events.on('end', listener)
  events.on('other' as 'end', listener)
  t.equal(count(), 4)
  events.off('end', listener)
  t.equal(count(), 4)
  events.off('start', listener)
  t.equal(count(), 0)
  events.once('start', listener)
  t.equal(count(), 4)
  tell('active')
  await turn()
  t.equal(count(), 4, 'nothing was emitted: there is no such job')
})

t.test('each event has the job as it is then, and node\'s own once and on take it', async (t) => {
  const { events, tell } = partsOf()
  const started = once(events, 'start')
  tell('active', 'b')
  t.match(await started, [{ name: 'b' }])
  const ends = on(events, 'end')
  tell('completed', 'c')
  tell('failed', 'd')
  t.match((await ends.next()).value, [{ name: 'c' }])
  t.match((await ends.next()).value, [{ name: 'd' }])
  await ends.return!()
})

t.test('the events of a job stay in order, and of its progress the latest is enough', async (t) => {
  let answer = (): void => {}
  let reads = 0
  const { events, tell } = partsOf((_queue, id) => new Promise((resolve) => { reads++; answer = () => resolve({ name: id, endedAt: 1, wasStarted: true }) }))
  const heard: string[] = []
  for (const name of ['start', 'progress', 'end'] as const) events.on(name, () => { heard.push(name) })
  tell('active')
  await turn()
  for (let i = 0; i < 5; i++) tell('progress')
  tell('completed')
  answer()
  await turn()
  t.same(heard, ['start'])
  answer()
  await turn()
  t.same(heard, ['start', 'progress', 'end'])
  t.equal(reads, 2)
})

t.test('of many jobs at once some are read at a time, and progress gives way', async (t) => {
  let reading = 0
  let most = 0
  const { events, tell } = partsOf(async (_queue, id) => {
    most = Math.max(most, ++reading)
    await new Promise(setImmediate)
    reading--
    return { name: id, endedAt: 1, wasStarted: true }
  })
  const heard = { end: 0, progress: 0 }
  events.on('end', () => { heard.end++ })
  events.on('progress', () => { heard.progress++ })
  for (let i = 0; i < 1_500; i++) tell('completed', `end-${i}`)
  for (let i = 0; i < 100; i++) tell('progress', `progress-${i}`)
  while (heard.end < 1_500) await turn()
  t.equal(most, 20)
  t.equal(heard.progress, 0)
})

t.test('what is noted of a job that waits to be read is told with it', async (t) => {
  const answers: Array<() => void> = []
  const { events, tell } = partsOf((_queue, id) => new Promise((resolve) => answers.push(() => resolve({ name: id, endedAt: 1, wasStarted: true }))))
  const heard: string[] = []
  for (const name of ['start', 'progress'] as const) events.on(name, (job: Job | any) => { if (job.name === 'last') heard.push(name) })
  for (let i = 0; i < 20; i++) tell('active', `job-${i}`)
  tell('active', 'last')
  tell('progress', 'last')
  while (answers.length > 0) {
    answers.shift()!()
    await turn()
  }
  t.same(heard, ['start', 'progress'])
})

t.test('an end is told when what is kept of it is there, and not for a job that runs again', async (t) => {
  let reads = 0
  const { events } = partsOf(async (_queue, id) => ++reads < 3 ? undefined : { name: id, endedAt: id === 'retried' ? undefined : 1 })
  const heard: string[] = []
  events.on('end', ({ name }: Job | any) => { heard.push(name) })
  events.onRemoved('default', 'a')
  events.onRemoved('default', 'retried')
  for (let i = 0; i < 200 && heard.length < 1; i++) await turn()
  await turn()
  t.same(heard, ['a'])
})

t.test('a listener that fails is logged, and the others hear', async (t) => {
  const { events, tell, lines } = partsOf()
  let heard = 0
  events.on('start', () => { throw new Error('sync') })
  events.on('start', async () => { throw new Error('async') })
  events.on('start', () => { heard++ })
  tell('active')
  await turn()
  t.equal(heard, 1)
  t.match(lines, [
    { level: 50, event: 'start', job: 'a', err: { message: 'sync' }, msg: 'A listener on app.jobEvents threw an error' },
    { level: 50, err: { message: 'async' } }
  ])
})

t.test('a store that is away, or an app that closes, ends it quietly', async (t) => {
  let fail = true
  let answer = (): void => {}
  const { events, source, tell } = partsOf(async () => {
    if (fail) throw new Error('away')
    return new Promise((resolve) => { answer = () => resolve({ name: 'a', endedAt: 1, wasStarted: true }) })
  })
  let heard = 0
  events.on('start', () => { heard++ })
  tell('active')
  await turn()
  t.equal(heard, 0)
  fail = false
  tell('active')
  await turn()
  tell('progress')
  events.close()
  answer()
  await turn()
  t.equal(source.listenerCount('active'), 0)
  t.equal(heard, 1)
})

t.test('a job that was taken by a process without its kind has no start', async (t) => {
  const { events, tell } = partsOf(async (_queue, id) => ({ name: id, wasStarted: id === 'started' }))
  const heard: string[] = []
  events.on('start', ({ name }: Job | any) => { heard.push(name) })
  tell('active', 'passed on')
  tell('active', 'started')
  await turn()
  t.same(heard, ['started'])
})
