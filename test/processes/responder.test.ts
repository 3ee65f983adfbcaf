import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Responder } from '../../lib/processes/responder'
import type { Message } from '../../lib/processes/messages'
import type { Outbox } from '../../lib/processes/outbox'
import type { ControlBackend, Snapshot } from '../../lib/shared/control-backend'
import { FST_ERR_TASK_INVALID_CURSOR, FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../../lib/shared/errors'
import { fakeLog } from '../fixtures/log'

const found = { name: 'x', state: 'running', createdAt: 1 } as Snapshot

/** Limits in characters: of the tasks, groups or names in an answer, of a task in a list, and of an answer. */
const ROOM = 262_144
const MAX_ENTRY = 523_288
const MAX_ANSWER = 524_288

/** The process `here`, which does as its backend says, and what `there` is told. */
function responding (backend: object = {}, sequence?: number) {
  const { log, warnings } = fakeLog()
  const answers: unknown[] = []
  const topics = new Set<string>()
  const calls: unknown[][] = []
  const outbox = {
    push (topic: string, kind: string, item: string) {
      topics.add(`${kind} ${topic}`)
      answers.push(JSON.parse(item))
    }
  } as unknown as Outbox
  const own = new Proxy(backend, {
    get: (methods: any, method) => (...args: unknown[]) => {
      calls.push([method, ...args])
      return typeof methods[method] === 'function' ? methods[method](...args) : methods[method]
    }
  }) as ControlBackend
  const responder = new Responder({ id: 'here', own, outbox, cancelTimeout: 100, sequence: () => sequence, log })
  const send = async (items: unknown[], isLate = (_timeout: number): boolean => false): Promise<unknown[]> => {
    responder.receive({ from: 'there', items } as Message, isLate)
    await nextTurn()
    return answers.splice(0)
  }
  return { send, ask: (operation: string, args: object) => send([[1, operation, args, 1_000]]), calls, topics, warnings }
}

/** A task of so many characters as JSON. */
function sized (length: number): Snapshot {
  return { ...found, name: 'x'.repeat(length - JSON.stringify({ ...found, name: '' }).length) }
}

for (const [operation, args, method, passed, result, ...answers] of [
  ['get', { name: 'x' }, 'get', ['x'], found, ['ok', found]],
  ['cancel', { name: 'x' }, 'cancel', ['x'], found, ['working', 100], ['ok', found]],
  ['cancelAll', { filter: { prefix: 'x' }, reason: 'why' }, 'cancelAll', [{ prefix: 'x' }, 'why'], { cancelled: 1, remaining: ['x'], more: 1 }, ['working', 100], ['ok', { cancelled: 1, remaining: ['x'] }]],
  ['heartbeat', { name: 'x' }, 'heartbeat', ['x'], undefined, ['ok', null]],
  ['purge', {}, 'purge', [], { purged: 2, more: 1 }, ['ok', { purged: 2 }]],
  ['summary', {}, 'summary', [], { counts: {}, groups: [], process: {}, more: 1 }, ['ok', { counts: {}, groups: [], process: {} }]],
  ['list', { limit: 2, states: ['running'], names: ['x'], group: 'g', prefix: 'x', q: 'x' }, 'list',
    [{ limit: 2, states: ['running'], names: ['x'], group: 'g', prefix: 'x', q: 'x', after: undefined }],
    { tasks: [found], cursors: ['1'], next: '2' }, ['ok', { tasks: [found], cursors: ['1'], next: '2' }]]
] as Array<[string, object, string, unknown[], unknown, ...unknown[][]]>) {
  t.test(`'${operation}' is done here, and answered to the process that has asked`, async (t) => {
    const { ask, calls, topics } = responding({ [method]: result })
    t.same(await ask(operation, args), answers.map((answer) => [1, ...answer]))
    t.same(calls, [[method, ...passed]])
    t.same([...topics], ['answer fastify-tasks/1/to/there'])
  })
}

t.test('whoever begins to listen is told the number of the last message, if there are any', async (t) => {
  for (const sequence of [7, undefined]) {
    t.same(await responding({}, sequence).ask('sequence', {}), [[1, 'ok', sequence ?? null]])
  }
})

for (const [title, requests] of Object.entries({
  'is no request': [null, 1, {}, 'request', []],
  'has an invalid id': ['1', 1.5, 2 ** 53, null].map((id) => [id, 'get', { name: 'x' }, 1_000]),
  'has an invalid timeout': ['long', 1.5, null, undefined].map((timeout) => [1, 'get', { name: 'x' }, timeout]),
  'asks for what no process does': ['add', 'constructor', '__proto__', '', null].map((operation) => [1, operation, { name: 'x' }, 1_000]),
  'has no object of arguments': [undefined, null, 'x', []].map((args) => [1, 'purge', args, 1_000]),
  'lacks an argument': ['get', 'cancel', 'heartbeat', 'list', 'cancelAll'].map((operation) => [1, operation, {}, 1_000]),
  'has an unknown argument': ['purge', 'summary', 'sequence'].map((operation) => [1, operation, { more: 1 }, 1_000]),
  'has an invalid name': ['get', 'cancel', 'heartbeat'].map((operation) => [1, operation, { name: 1 }, 1_000]),
  'has an invalid argument of a list': [
    { limit: 0 }, { limit: 1_001 }, { limit: '1' }, { exposes: 'yes' }, { group: 1 }, { prefix: 1 }, { q: 1 }, { process: 'here' },
    { states: 'running' }, { states: ['running', 'odd'] }, { names: 'x' }, { names: ['x', 1] },
    { after: null }, { after: { here: 1 } }, { after: { here: 1, there: '1' } }
  ].map((args) => [1, 'list', { limit: 1, ...args }, 1_000]),
  'has an invalid argument of a cancel': [
    { filter: {} }, { filter: 'x' }, { filter: null }, { filter: { more: 1 } }, { filter: { prefix: 1 } }, { filter: { prefix: 'x' }, reason: 1 },
    { filter: { prefix: '' } }, { filter: { group: 'x', q: '' } }, { filter: { names: [] } }, { filter: { prefix: 'x', states: [] } }
  ].map((args) => [1, 'cancelAll', args, 1_000])
})) {
  t.test(`a request that ${title} is passed over, and the next one is answered`, async (t) => {
    const { send, calls } = responding({ get: found })
    for (const request of requests) {
      t.same(await send([request, [2, 'get', { name: 'y' }, 1_000]]), [[2, 'ok', found]], JSON.stringify(request))
    }
    t.same(calls, requests.map(() => ['get', 'y']))
  })
}

t.test('a request that comes too late for its own timeout does nothing', async (t) => {
  const { send, calls } = responding({ get: found })
  t.same(await send([[1, 'get', { name: 'x' }, 999], [2, 'get', { name: 'y' }, 1_000]], (timeout) => timeout < 1_000), [[2, 'ok', found]])
  t.same(calls, [['get', 'y']])
})

for (const [title, error, answer, isLogged] of [
  ['a task that is not here', new FST_ERR_TASK_NOT_FOUND('x'), ['none'], false],
  ['a task that has ended', new FST_ERR_TASK_NOT_LIVE('x', 'why'), ['refused', ['FST_ERR_TASK_NOT_LIVE', "Task 'x' is no longer live: why"]], false],
  ['a task without a lease', new FST_ERR_TASK_NO_LEASE('x'), ['refused', ['FST_ERR_TASK_NO_LEASE', "Task 'x' has no lease: it was added without a ttl"]], false],
  ['a mistake of a client', new FST_ERR_TASK_INVALID_CURSOR(), ['failed'], false],
  ['a failure of this process', Object.assign(new Error('secret'), { statusCode: 500 }), ['failed'], true],
  ['an unexpected error', new Error('secret'), ['failed'], true]
] as Array<[string, Error, unknown[], boolean]>) {
  t.test(`${title} is answered with '${answer[0]}', and ${isLogged ? 'logged' : 'not logged'}`, async (t) => {
    const { ask, warnings } = responding({ get () { throw error } })
    t.same(await ask('get', { name: 'x' }), [[1, ...answer]])
    t.match(warnings, isLogged ? [[{ err: error }, 'A request of another process failed']] : [])
    t.equal(warnings.length, Number(isLogged))
  })
}

t.test('the text of errors is sent to a process that may expose it, and to no other', async (t) => {
  const failed = { ...found, state: 'failed', error: { code: 'E', message: 'secret' } }
  const { ask } = responding({ get: failed, cancel: failed, list: { tasks: [failed], cursors: ['1'] } })
  for (const [operation, args] of [['get', { name: 'x' }], ['cancel', { name: 'x' }], ['list', { limit: 1 }]] as const) {
    for (const [more, isSent] of [[{ exposes: true }, true], [{ exposes: false }, false], [{}, false]] as const) {
      const text = JSON.stringify(await ask(operation, { ...args, ...more }))
      t.match(text, '"code":"E"', operation)
      t.equal(text.includes('secret'), isSent, operation)
    }
  }
})

t.test('an answer that is too large to cross fails, and is logged', async (t) => {
  let task = sized(MAX_ANSWER)
  const { ask, warnings } = responding({ get: () => task })
  t.match(await ask('get', { name: 'x' }), [[1, 'ok', { state: 'running' }]])
  t.same(warnings, [])
  task = sized(MAX_ANSWER + 1)
  t.same(await ask('get', { name: 'x' }), [[1, 'failed']])
  t.match(warnings, [[{ err: { message: 'The answer is too large to cross' } }, 'A request of another process failed']])
})

for (const [title, lengths, listed, next] of [
  ['ends behind the last task that has room', [ROOM / 2, ROOM / 2, 100, 100], ['a', 'b'], 'b'],
  ['has all tasks if they have room', [100, 100], ['a', 'b'], 'end'],
  ['has one task that is larger than its room', [ROOM + 1, 100], ['a'], 'a'],
  ['has the largest task that can cross', [MAX_ENTRY], ['a'], 'end'],
  ['omits a task too large to cross, and goes on with the next', [100, MAX_ENTRY + 1, 100], ['a', 'c'], 'end'],
  ['may have no tasks, and still continue', [MAX_ENTRY + 1], [], 'end'],
  ['continues behind an omitted task', [100, MAX_ENTRY + 1, ROOM], ['a'], 'b']
] as Array<[string, number[], string[], string]>) {
  t.test(`a page ${title}`, async (t) => {
    const { ask } = responding({ list: { tasks: lengths.map(sized), cursors: ['a', 'b', 'c', 'd'].slice(0, lengths.length), next: 'end' } })
    const [[, status, page]] = await ask('list', { limit: 10 }) as any
    t.equal(status, 'ok')
    t.same(page.tasks.map(({ name }: Snapshot) => name.length), listed.map((cursor) => sized(lengths['abcd'.indexOf(cursor)]).name.length))
    t.same([page.cursors, page.next], [listed, next])
  })
}

for (const [title, after, passed] of [
  ['starts at the newest task without a position', undefined, undefined],
  ['starts at the newest task at an empty position', { here: '', there: '1' }, undefined],
  ['continues at its position', { here: '7', there: '1' }, '7']
] as Array<[string, object | undefined, string | undefined]>) {
  t.test(`a walk ${title}`, async (t) => {
    const { send, calls } = responding({ list: { tasks: [], cursors: [] } })
    t.same(await send([[1, 'list', JSON.parse(JSON.stringify({ limit: 1, after })), 1_000]]), [[1, 'ok', { tasks: [], cursors: [] }]])
    t.same(calls, [['list', { limit: 1, after: passed }]])
  })
}

t.test('a walk that began before this process is not answered', async (t) => {
  const { ask, calls, warnings } = responding({ list: { tasks: [], cursors: [] } })
  t.same(await ask('list', { limit: 1, after: { there: '1' } }), [])
  t.same([calls, warnings], [[], []])
})

for (const [title, lengths, count] of [
  ['has all that have room', [ROOM / 2, ROOM / 2], 2],
  ['ends before the first that has none', [ROOM / 2, ROOM / 2, 100, 100], 2],
  ['is empty if the first has none', [ROOM + 1, 100], 0]
] as Array<[string, number[], number]>) {
  t.test(`an answer with a list of groups or of names ${title}`, async (t) => {
    const names = lengths.map((length) => 'x'.repeat(length - 2))
    const groups = lengths.map((length) => ({ group: 'x'.repeat(length - '{"group":""}'.length) }))
    const { ask } = responding({ summary: { counts: {}, groups, process: {} }, cancelAll: { cancelled: 0, remaining: names } })
    t.equal((await ask('summary', {}) as any)[0][2].groups.length, count)
    t.equal((await ask('cancelAll', { filter: { prefix: 'x' } }) as any)[1][2].remaining.length, count)
  })
}
