import t from 'tap'
import type { TaskState } from '../../types/task'
import type { JobQuery } from '../../lib/jobs/listing'
import { MemoryQueue } from '../fixtures/memory-engine'
import { registryOn } from '../fixtures/registry'

const all = (): boolean => true

function queueOf (counts: Record<string, number>, name?: string): MemoryQueue {
  const queue = new MemoryQueue(name)
  for (const [state, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) put(queue, `${state}-${i}`, state)
  }
  return queue
}

function put (queue: MemoryQueue, id: string, state: string): void {
  const ended = state === 'completed' || state === 'failed'
  queue.put({ id, data: { name: id, data: {} }, state, ...ended && { finishedOn: 9 }, ...state === 'active' && { processedOn: 5, attemptsStarted: 1 } })
}

async function namesOf (jobs: AsyncIterable<{ name: string }>): Promise<string[]> {
  const names = []
  for await (const { name } of jobs) names.push(name)
  return names
}

async function walk (queue: MemoryQueue, query: Partial<JobQuery> = {}, between = (_names: string[]): void => {}): Promise<string[]> {
  const { registry } = registryOn([queue])
  const names: string[] = []
  for (let after: string | undefined, i = 0; i < 100; i++) {
    const { jobs, next } = await registry.page({ limit: 10, matches: all, ...query, after })
    names.push(...jobs.map(({ name }) => name))
    if (next === undefined) return names
    after = next
    between(names)
  }
  throw new Error('It never ends')
}

t.test('the live jobs of all queues are iterated, each once and as it is then', async (t) => {
  const queues = [queueOf({ delayed: 120, prioritized: 1, waiting: 250, active: 3, completed: 5, failed: 5 }), queueOf({ waiting: 2 }, 'second')]
  const { registry } = registryOn(queues)
  const names = await namesOf(registry.list())
  t.equal(names.length, 376)
  t.equal(new Set(names.slice(0, 374)).size, 374)
  const reads = queues[0].asked.filter((asked) => asked === 'getJob').length
  t.ok(reads < 380, `${reads} reads of records`)
  for await (const job of registry.list()) t.equal(job.state, job.name.startsWith('active') ? 'running' : 'pending')
})

t.test('jobs that come, go or are cancelled during the iteration change nothing for the others', async (t) => {
  const queue = queueOf({ waiting: 400, active: 100 })
  const { registry } = registryOn([queue])
  const seen: string[] = []
  let i = 0
  for await (const { id } of registry.list()) {
    seen.push(id)
    queue.entries.delete(id)
    put(queue, `new-${i++}`, 'waiting')
    // One starts, and one ends.
    const next = queue.entries.get('waiting-390')
    if (next !== undefined && i === 50) Object.assign(next, { state: 'active', processedOn: 5 })
    if (i === 60) queue.end('waiting-391', {})
  }
  t.equal(seen.length, 499)
  t.equal(new Set(seen).size, 499)
  t.notOk(seen.includes('waiting-391'))
})

t.test('a job that goes back to a list that was read is not missed', async (t) => {
  const queue = queueOf({ active: 1 })
  const { registry } = registryOn([queue])
  const backend = queue.getBackend()
  const { getRanges } = backend
  let read = 0
  backend.getRanges = (async (...args: Parameters<typeof getRanges>) => {
    const [lists] = args
    const ids: string[][] = []
    for (const list of lists) {
      // Between the lists the one job is returned to the first of them.
      if (++read === 4) queue.entries.get('active-0')!.state = 'delayed'
      ids.push(...await getRanges.call(backend, [list], 0, -1, true) as unknown as string[][])
    }
    return ids
  }) as unknown as typeof getRanges
  t.same(await namesOf(registry.list()), ['active-0'])
})

t.test('pages show what runs first, then what waits, what has failed and what has completed, the newest of each first', async (t) => {
  const counts = { delayed: 3, prioritized: 2, waiting: 25, active: 12, completed: 15, failed: 4 }
  const names = await walk(queueOf(counts))
  t.equal(names.length, 61)
  t.equal(new Set(names).size, 61)
  t.same(names.slice(0, 3), ['active-11', 'active-10', 'active-9'])
  t.same([...new Set(names.map((name) => name.split('-')[0]))], ['active', 'waiting', 'prioritized', 'delayed', 'failed', 'completed'])
})

t.test('pages of a state have the jobs of that state alone, and cost no more than them', async (t) => {
  const queue = queueOf({ waiting: 20, active: 3, completed: 30, failed: 2 })
  queue.entries.get('active-1')!.data.cancel = {}
  for (const [states, expected] of [
    [['running'], ['active-2', 'active-0']], [['cancelling'], ['active-1']], [['failed'], ['failed-1', 'failed-0']], [['cancelled'], []], [['running', 'failed'], ['active-2', 'active-0', 'failed-1', 'failed-0']]
  ] as Array<[TaskState[], string[]]>) {
    queue.asked.length = 0
    t.same(await walk(queue, { states }), expected)
    t.notOk(queue.asked.includes('getRanges completed'))
  }
})

t.test('jobs that come and go between the pages of a state push nothing out of them', async (t) => {
  const queue = queueOf({ waiting: 100 })
  let i = 0
  const names = await walk(queue, { states: ['pending'] }, (seen) => {
    // Three new ones at the head, five that were shown are gone, and one that was not.
    for (let j = 0; j < 3; j++) put(queue, `new-${i++}`, 'waiting')
    for (const name of seen.slice(-8, -3)) queue.entries.delete(name)
    queue.entries.delete(`waiting-${i}`)
  })
  const kept = names.filter((name) => name.startsWith('waiting'))
  t.equal(new Set(kept).size, kept.length, 'none twice')
  for (const id of queue.entries.keys()) if (id.startsWith('waiting')) t.ok(kept.includes(id), id)
})

t.test('many that come between two pages push nothing out of the second', async (t) => {
  const queue = queueOf({ waiting: 30 })
  let i = 0
  const names = await walk(queue, {}, () => { if (i === 0) for (; i < 500; i++) put(queue, `new-${i}`, 'waiting') })
  t.same(names, Array.from({ length: 30 }, (_, j) => `waiting-${29 - j}`))
})

t.test('a page whose last jobs are all gone goes on at their place', async (t) => {
  const queue = queueOf({ waiting: 40 })
  const names = await walk(queue, {}, (seen) => { for (const name of seen.slice(-3)) queue.entries.delete(name) })
  t.ok(names.length >= 31, 'as near as may be')
})

t.test('a search looks at no more than a thousand records for a page, and goes on with the next', async (t) => {
  const queue = queueOf({ waiting: 2_500 })
  const { registry } = registryOn([queue])
  const matches = ({ name }: { name: string }): boolean => name === 'waiting-7'
  const first = await registry.page({ limit: 10, matches })
  t.same(first.jobs, [])
  t.type(first.next, 'string')
  t.ok(queue.asked.filter((asked) => asked === 'getJob').length <= 1_000)
  t.same(await walk(queue, { matches }), ['waiting-7'])
})

t.test('the jobs of all queues are listed', async (t) => {
  const { registry } = registryOn([queueOf({ waiting: 2 }), queueOf({ active: 1 }, 'second')])
  t.same((await registry.page({ limit: 10, matches: all })).jobs.length, 3)
})

t.test('records that are not ours are left out', async (t) => {
  const queue = queueOf({ waiting: 3 })
  queue.entries.get('waiting-1')!.data = null as any
  t.same(await walk(queue), ['waiting-2', 'waiting-0'])
})

t.test('a cursor that is none is refused', async (t) => {
  const { registry } = registryOn([queueOf({ waiting: 3 })])
  for (const cursor of ['', 'x', ...[[], [1], [0, 0, -1, []], [0, 0, 0.5, []], ['0', 0, 0, []], [0, 0, 0, {}], [0, 0, 0, [1]], null, 7].map((value) => Buffer.from(JSON.stringify(value)).toString('base64url'))]) {
    await t.rejects(registry.page({ limit: 10, after: cursor, matches: all }), RangeError, cursor)
  }
  const beyond = Buffer.from(JSON.stringify([99, 99, 99, ['x', 'y', 'z', 'too many']])).toString('base64url')
  t.same(await registry.page({ limit: 10, after: beyond, matches: all }), { jobs: [] })
})
