import t from 'tap'
import { adoptForeignJobs, claimName, mayAddAgain, readJob } from '../../lib/jobs/names'
import { takerName } from '../../lib/jobs/taker'
import { MemoryQueue } from '../fixtures/memory-engine'
import { registryOn } from '../fixtures/registry'

function partsOf () {
  const queue = new MemoryQueue()
  const parts = registryOn([queue])
  adoptForeignJobs(parts.engine, parts.outcomes)
  const tell = async (event: string, args: object): Promise<void> => {
    parts.events.emit(event, { queue: 'default', ...args })
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { ...parts, queue, tell }
}

t.test('a job that another tool adds without a key gets its name', async (t) => {
  const { queue, tell } = partsOf()
  queue.put({ id: '1', opts: {} })
  await tell('added', { jobId: '1', name: 'kind' })
  t.equal(queue.keys.get('a'), '1')
  queue.end('1', {})
  await tell('ended', { job: queue.stored('1'), result: 7 })
  t.equal(queue.keys.has('a'), false, 'and gives it back at its end')
})

t.test('a job of ours, or of a scheduler, is not looked at', async (t) => {
  const { queue, tell } = partsOf()
  await tell('added', { jobId: '5b1d4c9e-0000-4000-8000-000000000000', name: 'kind' })
  await tell('added', { jobId: 'repeat:nightly:1700000000000', name: 'kind' })
  await tell('waiting', { jobId: 'id' })
  await tell('waiting', { jobId: 'id', prev: 'active' })
  queue.put({ id: 'id' })
  queue.end('id', {})
  await tell('ended', { job: queue.stored('id'), result: 7 })
  t.same(queue.asked.filter((asked) => !/outcomes/.test(asked)), [])
})

t.test('a job that another tool sets going again gets its name, and how it ended before is forgotten', async (t) => {
  for (const prev of ['failed', 'completed']) {
    const { queue, tell, outcomes } = partsOf()
    queue.put({ finishedOn: 9, state: 'failed', failedReason: 'no', stacktrace: [] })
    await tell('ended', { job: queue.stored('id'), error: new Error('no') })
    await outcomes.flush()
    await queue.stored('id').retry()
    await tell('waiting', { jobId: 'id', prev })
    t.equal(queue.keys.get('a'), 'id')
    t.equal((await outcomes.find('default', ['id'])).size, 0)
  }
})

t.test('a name that belongs to another live job stays with it', async (t) => {
  const { queue, tell } = partsOf()
  queue.put({ id: 'first' })
  queue.put({ id: '2', opts: {} })
  await tell('added', { jobId: '2', name: 'kind' })
  t.equal(queue.keys.get('a'), 'first')
})

t.test('a job that has ended by then is left alone, and one that ends meanwhile gives the name back', async (t) => {
  const { queue, tell } = partsOf()
  queue.put({ id: '1', opts: {}, state: 'completed', finishedOn: 9 })
  await tell('added', { jobId: '1', name: 'kind' })
  await tell('added', { jobId: 'gone', name: 'kind' })
  t.equal(queue.keys.size, 0)
  for (const meddle of [() => queue.end('2', {}), () => queue.entries.delete('2')]) {
    queue.put({ id: '2', opts: {} })
    let given = 0
    const { set } = queue.keys
    queue.keys.set = (name, id) => {
      given++
      meddle()
      return set.call(queue.keys, name, id)
    }
    await tell('added', { jobId: '2', name: 'kind' })
    t.equal(queue.keys.size, 0)
    t.equal(given, 1)
    queue.keys.set = set
  }
})

t.test('an add that a job has refused is tried again if that had ended by then, or was overdue and has ended', async (t) => {
  const queue = new MemoryQueue()
  const opts = { deduplication: { id: 'a' } }
  for (const [finishedOn, expiresAt, expected] of [[9, undefined, true], [11, undefined, false], [11, 9, true], [11, 12, false], [undefined, 9, false]] as const) {
    queue.put({ id: '1', opts, finishedOn, data: { name: 'a', data: {}, expiresAt } })
    t.equal(await mayAddAgain(queue as never, 'a', '1', 10), expected, `${finishedOn} ${expiresAt}`)
  }
})

t.test('a store that is away is no unhandled rejection', async (t) => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', onUnhandled)
  t.teardown(() => process.off('unhandledRejection', onUnhandled))
  const { queue, engine, tell, outcomes } = partsOf()
  queue.put({ id: '1', opts: {}, finishedOn: 9 })
  Object.assign(engine, { isClosing: true })
  engine.request = async () => { throw new Error('away') }
  await tell('added', { jobId: '1', name: 'kind' })
  await tell('ended', { job: queue.stored('1'), result: 7 })
  await outcomes.flush()
  t.same(unhandled, [])
})

t.test('a job that is put back while it is read has its starts as they are then', async (t) => {
  const queue = new MemoryQueue()
  const passedOn = { processedBy: takerName(['other']) }
  // Its record is read before its start is discounted, its state when it waits again.
  queue.put({ state: 'active', ...passedOn })
  const { getJobState } = queue
  queue.getJobState = async (id) => {
    queue.getJobState = getJobState
    queue.put({ ...queue.entries.get(id), data: { name: 'a', data: {}, misrouted: 1 }, state: 'delayed' })
    return getJobState.call(queue, id)
  }
  t.match(await readJob(queue as never, 'id'), { state: 'delayed', stored: { attemptsStarted: 1, data: { misrouted: 1 } } })

  // One that a handler was started for, before it came to a process without its kind.
  queue.put({ id: 'started', data: { name: 'b', data: {}, misrouted: 1 }, state: 'delayed', attemptsStarted: 2, ...passedOn })
  t.match(await readJob(queue as never, 'started'), { state: 'delayed', stored: { attemptsStarted: 2, data: { misrouted: 1 } } })
})

t.test('a name that an open transaction holds is not given; what else PostgreSQL refuses is thrown', async (t) => {
  const queue = new MemoryQueue()
  queue.put({ id: '1', opts: {} })
  const refused = (code: string): Promise<boolean> => claimName(queue.withPool(async () => { throw Object.assign(new Error('refused'), { code }) }) as never, queue.stored('1'))
  t.equal(await refused('55P03'), false)
  await t.rejects(refused('42P01'), { code: '42P01' })
})
