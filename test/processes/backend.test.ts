/** What one process makes of its own tasks, and of what the processes `b` and `c` answer. */
import t from 'tap'
import { ProcessesBackend } from '../../lib/processes/backend'
import type { EventReceiver } from '../../lib/processes/event-receiver'
import { LiveReader } from '../../lib/processes/live-reader'
import { TOPICS, type Message } from '../../lib/processes/messages'
import type { Outbox } from '../../lib/processes/outbox'
import { readPositions, writePositions } from '../../lib/processes/pages'
import type { Peer } from '../../lib/processes/peers'
import { RemoteEntries } from '../../lib/processes/remote-entries'
import { Requests } from '../../lib/processes/requests'
import type { ControlBackend, ControlEvent, LiveEntry, Snapshot } from '../../lib/shared/control-backend'
import { FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../../lib/shared/errors'
import { FakeTime } from '../fixtures/fake-time'

// A process that does not answer keeps a request waiting for ever.
const time = new FakeTime()
t.teardown(time.restore)

const here = { id: 'here', pid: 1, hostname: 'h' }
const peers = ['b', 'c'].map((id) => ({ id, pid: 2, hostname: 'h' }) as Peer)

const task = (state: string, createdAt = 1): Snapshot => ({ name: 'x', state, createdAt } as Snapshot)
const ok = (value: unknown): unknown[] => ['ok', value]
const NONE = ['none']
const FAILED = ['failed']

const notFound = (): never => { throw new FST_ERR_TASK_NOT_FOUND('x') }
const notLive = (): never => { throw new FST_ERR_TASK_NOT_LIVE('x', 'it has ended') }
const noLease = (): never => { throw new FST_ERR_TASK_NO_LEASE('x') }

/** @param answers in the order in which they come: a process without one does not answer */
function among (own: object, answers: Record<string, unknown[]> = {}) {
  const asked: unknown[][] = []
  const outbox = {
    push (topic: string, _kind: string, item: string) {
      const [id, operation, args] = JSON.parse(item)
      asked.push([topic, operation, args])
      setImmediate(() => {
        for (const [from, answer] of Object.entries(answers)) {
          const peer = peers.find((one) => one.id === from)!
          if ([TOPICS.all, TOPICS.of(from)].includes(topic)) requests.receive(peer, { items: [[id, ...answer]] } as Message)
        }
      })
    }
  } as unknown as Outbox
  const requests = new Requests(outbox, 300, () => false)
  const access = { exposesErrors: false, reachable: async () => peers, expose: () => { access.exposesErrors = true } }
  const subscribed = new Set<unknown>()
  const receiver = {
    add (listener: unknown) {
      subscribed.add(listener)
      return () => subscribed.delete(listener)
    }
  } as unknown as EventReceiver
  const reader = new LiveReader(requests, new RemoteEntries(), () => access.exposesErrors)
  const backend = new ProcessesBackend({ own: own as ControlBackend, identity: here, requests, receiver, reader, access })
  return { backend, asked, subscribed }
}

const page = (names: string[], next?: string): object => ({
  tasks: names.map((name, index) => ({ name, state: 'running', createdAt: 10 - index })), cursors: names.map((_, index) => `${index + 1}`), next
})

const counts = (running: number): object => ({ pending: 0, running, cancelling: 0, completed: 0, failed: 0, cancelled: 0 })

const ALL = TOPICS.all
const B = TOPICS.of('b')

for (const [title, own, answers, process] of [
  ['a live one is preferred to one that has ended here', task('completed', 9), { b: ok(task('running')), c: NONE }, 'b'],
  ['a live one is preferred to one that has ended there', notFound, { c: ok(task('completed', 9)), b: ok(task('running')) }, 'b'],
  ['the newest of those that have ended is found there', task('completed', 5), { b: ok(task('failed', 9)), c: ok(task('failed', 7)) }, 'b'],
  ['the newest of those that have ended is found here', task('completed', 9), { b: ok(task('failed', 5)), c: NONE }, 'here'],
  ['a live one is enough, and a silent process is not waited for', notFound, { b: ok(task('running')) }, 'b'],
  ['a live one is found after an answer without any', notFound, { c: NONE, b: ok(task('cancelling')) }, 'b'],
  ['a live one is found after a refusal', notFound, { c: ['refused', []], b: ok(task('pending')) }, 'b'],
  ['a live one is found after an answer that makes no sense', notFound, { c: ok({}), b: ok(task('running')) }, 'b']
] as Array<[string, Snapshot | (() => never), Record<string, unknown[]>, string]>) {
  t.test(`of the tasks of a name, ${title}`, async (t) => {
    const { backend } = among({ get: () => typeof own === 'function' ? own() : own }, answers)
    t.match(await backend.get('x'), { name: 'x', process: { id: process }, missing: undefined })
  })
}

t.test('a live task of this process is found without the others', async (t) => {
  const { backend, asked } = among({ get: () => task('running') })
  t.same(await backend.get('x'), { ...task('running'), process: here })
  t.same(asked, [])
})

t.test('a process that has not answered is named, or reported if no other has the task', async (t) => {
  t.match(await among({ get: notFound }, { b: ok(task('completed')), c: FAILED }).backend.get('x'), { process: { id: 'b' }, missing: ['c'] })
  await t.rejects(among({ get: notFound }, { b: NONE, c: FAILED }).backend.get('x'), { code: 'FST_ERR_TASK_OUT_OF_REACH', missing: ['c'] })
  await t.rejects(among({ get: notFound }, { b: NONE, c: NONE }).backend.get('x'), { code: 'FST_ERR_TASK_NOT_FOUND' })
})

t.test('a process that is named is asked alone, and for error text once a plugin may expose it', async (t) => {
  const { backend, asked } = among({ get: () => t.fail('not asked') }, { b: ok(task('completed')) })
  await backend.get('x', 'b')
  backend.exposeErrors()
  await backend.get('x', 'b')
  t.same(asked, [[B, 'get', { name: 'x', exposes: false }], [B, 'get', { name: 'x', exposes: true }]])
})

for (const [title, own, answers, process] of [
  ['one that is still stopping there is reported', task('cancelled'), { b: NONE, c: ok(task('cancelling')) }, 'c'],
  ['one that is still stopping here is reported', task('cancelling'), { b: ok(task('cancelled')), c: NONE }, 'here'],
  ['of two that are still stopping, the one here is reported', task('cancelling'), { b: ok(task('cancelling')), c: NONE }, 'here'],
  ['of two that have stopped, the one here is reported', task('cancelled'), { b: ok(task('cancelled')), c: NONE }, 'here'],
  ['one that is cancelled there is reported, though another has ended here', notLive, { b: ok(task('cancelled')), c: NONE }, 'b']
] as Array<[string, Snapshot | (() => never), Record<string, unknown[]>, string]>) {
  t.test(`of the tasks that a cancel reaches, ${title}`, async (t) => {
    const { backend } = among({ cancel: async () => typeof own === 'function' ? own() : own }, answers)
    t.match(await backend.cancel('x'), { process: { id: process }, missing: undefined })
  })
}

t.test('a cancel of a task that has ended, in whichever process, is refused', async (t) => {
  for (const [own, b] of [[notLive, NONE], [notFound, ['refused', ['FST_ERR_TASK_NOT_LIVE', 'ended']]]] as Array<[() => never, unknown[]]>) {
    await t.rejects(among({ cancel: own }, { b, c: FAILED }).backend.cancel('x'), { code: 'FST_ERR_TASK_NOT_LIVE', statusCode: 409 })
  }
})

t.test('an unexpected error of this process is thrown, whatever the others answer', async (t) => {
  const { backend } = among({ cancel: async () => { throw new Error('broken') } }, { b: ok(task('cancelled')), c: NONE })
  await t.rejects(backend.cancel('x'), { message: 'broken' })
})

t.test('an answer with more names than a call takes arguments is as good as any other', async (t) => {
  const { backend } = among({ cancelAll: async () => ({ cancelled: 0, remaining: ['here'] }) }, { b: ok({ cancelled: 0, remaining: Array.from({ length: 300_000 }, () => '') }), c: NONE })
  t.equal((await backend.cancelAll({ prefix: 'x' })).remaining.length, 300_001)
})

t.test('a cancel by filter adds up the answers of all processes, and one that makes no sense is missing', async (t) => {
  const { backend, asked } = among({ cancelAll: async () => ({ cancelled: 1, remaining: ['here'] }) }, { b: ok({ cancelled: 2, remaining: ['b'] }), c: ok({}) })
  t.same(await backend.cancelAll({ prefix: 'x' }, 'why'), { cancelled: 3, remaining: ['here', 'b'], missing: ['c'] })
  t.same(asked, [[ALL, 'cancelAll', { filter: { prefix: 'x' }, reason: 'why' }]])
})

t.test('a cancel by filter in one process is done there alone, and names it as missing if it is unknown', async (t) => {
  const { backend } = among({ cancelAll: () => t.fail('not meant') }, { b: ok({ cancelled: 2, remaining: [] }) })
  t.same(await backend.cancelAll({ process: 'b', prefix: 'x', group: undefined }), { cancelled: 2, remaining: [], missing: undefined })
  t.same(await backend.cancelAll({ process: 'nobody', prefix: 'x' }), { cancelled: 0, remaining: [], missing: ['nobody'] })
})

t.test('an empty filter is refused before any process is asked', async (t) => {
  for (const process of [undefined, 'here', 'b', 'nobody']) {
    const { backend, asked } = among({ cancelAll: async () => { throw new Error('empty') } })
    await t.rejects(backend.cancelAll({ process, group: undefined }), { message: 'empty' })
    t.same(asked, [], String(process))
  }
})

t.test('the others are asked to cancel while the tasks here still stop', async (t) => {
  const { backend, asked } = among({ cancelAll: () => new Promise(() => {}) })
  backend.cancelAll({ prefix: 'x' })
  await time.settle()
  t.equal(asked.length, 1)
})

t.test('a heartbeat renews a task here without waiting for the others, which are asked too', async (t) => {
  const { backend, asked } = among({ heartbeat: () => {} })
  await backend.heartbeat('x')
  t.same(asked, [[ALL, 'heartbeat', { name: 'x' }]])
})

t.test('one process that has renewed the task is enough for a heartbeat', async (t) => {
  for (const answers of [{ b: ok(null) }, { c: NONE, b: ok(null) }] as Array<Record<string, unknown[]>>) {
    let renewed = false
    among({ heartbeat: notFound }, answers).backend.heartbeat('x').then(() => { renewed = true })
    await time.settle()
    await time.settle()
    t.ok(renewed)
  }
})

for (const [title, own, answers, code] of [
  ['a task without a lease there, though another has ended here', notLive, { b: ['refused', ['FST_ERR_TASK_NO_LEASE']], c: NONE }, 'FST_ERR_TASK_NO_LEASE'],
  ['a task without a lease here, though another has ended there', noLease, { b: ['refused', ['FST_ERR_TASK_NOT_LIVE']], c: NONE }, 'FST_ERR_TASK_NO_LEASE'],
  ['a task that has ended', notFound, { b: ['refused', ['FST_ERR_TASK_NOT_LIVE']], c: NONE }, 'FST_ERR_TASK_NOT_LIVE'],
  ['a process that has not answered', notFound, { b: FAILED, c: NONE }, 'FST_ERR_TASK_OUT_OF_REACH'],
  ['that no process has the task', notFound, { b: NONE, c: NONE }, 'FST_ERR_TASK_NOT_FOUND']
] as Array<[string, () => never, Record<string, unknown[]>, string]>) {
  t.test(`a heartbeat that renews nothing reports ${title}`, async (t) => {
    await t.rejects(among({ heartbeat: own }, answers).backend.heartbeat('x'), { code })
  })
}

t.test('a purge adds up the numbers of all processes, and one that makes no sense is missing', async (t) => {
  const { backend } = among({ purge: () => ({ purged: 1 }) }, { b: ok({ purged: 2 }), c: ok({}) })
  t.same(await backend.purge(), { purged: 3, missing: ['c'] })
  t.same(await backend.purge('here'), { purged: 1, missing: undefined })
  t.same(await backend.purge('b'), { purged: 2, missing: undefined })
  t.same(await backend.purge('nobody'), { purged: 0, missing: ['nobody'] })
})

t.test('a summary adds up the counts of all processes, and one that makes no sense is missing', async (t) => {
  const { backend } = among({ summary: () => ({ counts: counts(1), groups: [], process: here }) }, { b: ok({ counts: counts(2), groups: [], process: {} }), c: ok({}) })
  const { counts: { running }, process, processes, missing } = await backend.summary()
  t.same([running, process, processes!.map(({ id }) => id), missing], [3, here, ['here', 'b'], ['c']])
})

t.test('a list merges the pages of all processes, and one that makes no sense is missing', async (t) => {
  const queries: unknown[] = []
  const own = { list: (query: unknown) => { queries.push(query); return page(['x', 'y']) } }
  const { backend, asked } = among(own, { b: ok(page(['z'])), c: ok({}) })
  const { tasks, missing } = await backend.list({ limit: 5, group: 'g' })
  t.match(tasks.map(({ name, process }) => [name, process!.id]).sort(), [['x', 'here'], ['y', 'here'], ['z', 'b']])
  t.same(missing, ['c'])
  t.same(queries, [{ group: 'g', limit: 5, after: undefined }])
  t.same(asked, [[ALL, 'list', { group: 'g', limit: 5, exposes: false }]])
})

t.test('a walk continues in the processes that it has not finished, and in no other', async (t) => {
  const queries: unknown[] = []
  const own = { list: (query: unknown) => { queries.push(query); return page(['x']) } }
  const answers = { b: ok(page(['y'])) }
  const both = among(own, answers)
  t.equal((await both.backend.list({ limit: 5, after: writePositions({ here: '3', b: '' }) })).tasks.length, 2)
  t.same(both.asked, [[B, 'list', { limit: 5, after: { here: '3', b: '' }, exposes: false }]])
  const other = among(own, answers)
  t.equal((await other.backend.list({ limit: 5, after: writePositions({ b: '1' }) })).tasks.length, 1)
  t.same(queries, [{ limit: 5, after: '3' }], 'the part of this process was finished')
})

t.test('a walk through one process has no position in this one', async (t) => {
  const { backend } = among({ list: () => t.fail('not meant') }, { b: ok(page(['y'], '1')) })
  const { next, missing } = await backend.list({ limit: 5, process: 'b' })
  t.same(readPositions(next!), { b: '1' })
  t.equal(missing, undefined)
  t.same(await backend.list({ limit: 5, process: 'nobody' }), { tasks: [], next: undefined, missing: ['nobody'] })
})

t.test('the live tasks of this process come first, and each has its process', async (t) => {
  const entry = (name: string): LiveEntry => ({ name, createdAt: 1, toJSON: () => ({ ...task('running'), name }) })
  const { backend } = among({ live: () => [[entry('x')]] }, { b: ok(page(['y'])), c: ok(page(['z'])) })
  const walk = async (process?: string): Promise<unknown[]> => {
    const found = []
    for await (const entries of backend.live({ process })) found.push(...entries.map((one) => [one.name, one.toJSON().process!.id]))
    return found
  }
  t.same(await walk(), [['x', 'here'], ['y', 'b'], ['z', 'c']])
  t.same(await walk('here'), [['x', 'here']])
  t.same(await walk('b'), [['y', 'b']])
})

t.test('events of this process have its id, until the listener is removed here and from the others', async (t) => {
  const own = new Set<(event: ControlEvent, entry: LiveEntry) => void>()
  const { backend, subscribed } = among({
    subscribe (listener: (event: ControlEvent, entry: LiveEntry) => void) {
      own.add(listener)
      return () => own.delete(listener)
    }
  })
  const heard: unknown[] = []
  const leave = backend.subscribe((event, entry) => heard.push([event, entry.name, entry.toJSON().process]))
  for (const listener of own) listener('start', { name: 'x', createdAt: 1, toJSON: () => task('running') })
  t.same(heard, [['start', 'x', here]])
  t.equal(subscribed.size, 1)
  leave()
  t.same([own.size, subscribed.size], [0, 0])
})
