import { setTimeout as sleep } from 'node:timers/promises'
import mqemitter from 'mqemitter'
import t from 'tap'
import { TOPICS, encode } from '../../lib/processes/messages'
import type { Emitter } from '../../index'
import { appWithTasks, ended, ignoresSignal, logged, started, untilAborted } from '../fixtures/app'
import { fakePeer, member, members, until, unruly, type Member } from '../fixtures/processes'

const names = async ({ backend }: Member, query: object = {}): Promise<string[]> => (await backend.list({ limit: 100, ...query })).tasks.map(({ name }) => name)

t.test('a task is found, renewed and cancelled through another process', async (t) => {
  const [a, b] = await members(t, 2)
  b.app.addTask(untilAborted, { name: 'x', ttl: 10_000 })
  t.match((await a.backend.list({ limit: 10 })).tasks, [{ name: 'x', process: { id: b.id, pid: process.pid } }])
  await a.backend.heartbeat('x')
  t.match(await a.backend.get('x'), { name: 'x', state: 'running', process: { id: b.id } })
  t.match(await a.backend.cancel('x'), { state: 'cancelled' })
  t.equal(b.app.getTask('x')!.state, 'cancelled')
  await t.rejects(a.backend.cancel('x') as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_LIVE', message: /'x' is no longer live/ })
  await t.rejects(a.backend.heartbeat('x') as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_LIVE' })
  await t.rejects(a.backend.cancel('y') as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_FOUND' })
  t.same(await a.backend.purge(), { purged: 1, missing: undefined })
  t.equal(a.app.getTask('x'), undefined)
})

t.test('getTask, cancelTask and names stay local to the process', async (t) => {
  const [a, b] = await members(t, 2)
  b.app.addTask(untilAborted, { name: 'x' })
  a.app.addTask(untilAborted, { name: 'x' })
  t.equal(await a.app.cancelTask('y'), false)
  t.equal(await a.app.cancelTask('x'), true)
  t.equal(b.app.getTask('x')!.endedAt, undefined)
  t.equal([...a.app.tasks].length, 1)
})

t.test('the pages of all processes are one list, the newest first, narrowed by the query', async (t) => {
  const [a, b, c] = await members(t, 3)
  for (const [index, { app }] of [a, b, c, a, b, c].entries()) {
    const task = app.addTask(untilAborted, { name: `x${index}`, group: index % 2 === 0 ? 'even' : 'odd' })
    await started(task)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  t.same(await names(a), ['x5', 'x4', 'x3', 'x2', 'x1', 'x0'])
  t.same(await names(b, { group: 'even' }), ['x4', 'x2', 'x0'])
  t.same(await names(b, { q: '5', states: ['running'] }), ['x5'])
  t.same(await names(b, { process: a.id }), ['x3', 'x0'])
  t.same(await names(b, { process: b.id }), ['x4', 'x1'])
  const first = await c.backend.list({ limit: 4 })
  const second = await c.backend.list({ limit: 4, after: first.next })
  t.same([...first.tasks, ...second.tasks].map(({ name }) => name), ['x5', 'x4', 'x3', 'x2', 'x1', 'x0'])
  t.equal(second.next, undefined)
  await t.rejects(c.backend.list({ limit: 4, after: 'x' }) as Promise<unknown>, { code: 'FST_ERR_TASK_INVALID_CURSOR', statusCode: 400 })
})

t.test('a process that joins during a walk is not in it, and one that leaves ends its part', async (t) => {
  const emitter = mqemitter()
  const a = await member(t, emitter)
  const b = await member(t, emitter)
  for (const { app } of [a, b]) for (let i = 0; i < 3; i++) app.addTask(untilAborted, { name: `x${i}` })
  const { next } = await a.backend.list({ limit: 2 })
  const c = await member(t, emitter)
  c.app.addTask(untilAborted, { name: 'new' })
  const second = await a.backend.list({ limit: 2, after: next })
  t.notOk(second.tasks.some(({ name }) => name === 'new'))
  t.equal(second.missing, undefined)
  await b.app.close()
  const third = await a.backend.list({ limit: 10, after: second.next })
  t.ok(third.tasks.every(({ process }) => process!.id === a.id))
  t.equal(third.missing, undefined)
  t.equal(third.next, undefined)
})

t.test('counts and groups are those of all processes', async (t) => {
  const [a, b] = await members(t, 2)
  a.app.addTask(untilAborted, { name: 'x', group: 'g' })
  await ended(b.app.addTask(async () => {}, { name: 'y', group: 'g' }))
  const summary = await a.backend.summary()
  t.match(summary.counts, { running: 1, completed: 1, failed: 0 })
  t.equal(summary.process.id, a.id)
  t.same(summary.processes!.map(({ id }) => id).sort(), [a.id, b.id].sort())
  t.ok(summary.processes!.every(({ heapUsed, uptime }) => heapUsed > 0 && uptime > 0))
})

t.test('a live task is preferred to an ended one of its name, and the newest of those', async (t) => {
  const [a, b, c] = await members(t, 3)
  await ended(a.app.addTask(async () => {}, { name: 'x' }))
  t.match(await b.backend.get('x'), { process: { id: a.id } })
  await new Promise((resolve) => setTimeout(resolve, 5))
  await ended(b.app.addTask(async () => {}, { name: 'x' }))
  t.match(await a.backend.get('x'), { process: { id: b.id } })
  t.match(await a.backend.get('x', a.id), { process: { id: a.id } })
  c.app.addTask(untilAborted, { name: 'x' })
  t.match(await a.backend.get('x'), { state: 'running', process: { id: c.id } })
  await t.rejects(a.backend.heartbeat('x') as Promise<unknown>, { code: 'FST_ERR_TASK_NO_LEASE' })
  t.match(await a.backend.cancel('x'), { process: { id: c.id } })
})

t.test('a task that does not stop is reported as cancelling, in whichever process it runs', async (t) => {
  const [a, b] = await members(t, 2, { cancelTimeout: 400, peerTimeout: 100 })
  a.app.addTask(untilAborted, { name: 'x' })
  b.app.addTask(ignoresSignal, { name: 'x' })
  t.match(await a.backend.cancel('x'), { state: 'cancelling', process: { id: b.id }, missing: undefined })
})

t.test('matching tasks are cancelled in all processes, or in the one that is named', async (t) => {
  const [a, b] = await members(t, 2)
  for (const { app } of [a, b]) for (const name of ['x1', 'x2', 'y']) app.addTask(untilAborted, { name })
  b.app.addTask(ignoresSignal, { name: 'x3' })
  t.same(await a.backend.cancelAll({ prefix: 'x1', process: b.id }), { cancelled: 1, remaining: [], missing: undefined })
  t.same(await a.backend.cancelAll({ prefix: 'x' }, 'why'), { cancelled: 3, remaining: ['x3'], missing: undefined })
  t.same(await a.backend.cancelAll({ prefix: 'y', process: a.id }), { cancelled: 1, remaining: [], missing: undefined })
})

t.test('a task is renewed and cancelled in the process that is named', async (t) => {
  const [a, b] = await members(t, 2)
  for (const { app } of [a, b]) app.addTask(untilAborted, { name: 'x', ttl: 10_000 })
  await a.backend.heartbeat('x', b.id)
  t.match(await a.backend.cancel('x', b.id), { state: 'cancelled', process: { id: b.id } })
  t.equal(a.app.getTask('x')!.endedAt, undefined)
  await t.rejects(a.backend.heartbeat('x', b.id) as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_LIVE' })
  await a.backend.heartbeat('x', a.id)
})

t.test('an empty filter is refused, whichever process is named', async (t) => {
  const [a, b] = await members(t, 2)
  b.app.addTask(untilAborted, { name: 'x' })
  for (const process of [undefined, a.id, b.id]) await t.rejects(a.backend.cancelAll({ process }), 'is refused')
  t.equal(b.app.getTask('x')!.endedAt, undefined)
})

t.test('an unknown process is reported as missing', async (t) => {
  const [a] = await members(t, 2)
  t.match(await a.backend.list({ limit: 1, process: 'nobody' }), { tasks: [], missing: ['nobody'] })
  t.same(await a.backend.purge('nobody'), { purged: 0, missing: ['nobody'] })
  t.match(await a.backend.cancelAll({ prefix: 'x', process: 'nobody' }), { missing: ['nobody'] })
  await t.rejects(a.backend.get('x', 'nobody') as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_FOUND' })
})

t.test('events are sent only while a process listens', async (t) => {
  const [a, b] = await members(t, 2)
  const listeners = (): number => b.app.tasks.listenerCount('start')
  t.equal(listeners(), 0)
  const heard: string[] = []
  const gone: string[] = []
  const leave = a.backend.subscribe((event, entry) => heard.push(`${event} ${entry.name} ${entry.toJSON().process!.id}`), ({ id }) => gone.push(id))
  await until(() => listeners() === 1)
  a.app.addTask(async () => {}, { name: 'here' })
  b.app.addTask(async () => {}, { name: 'there' })
  await until(() => heard.length === 4)
  t.same(heard, [`start here ${a.id}`, `end here ${a.id}`, `start there ${b.id}`, `end there ${b.id}`])
  leave()
  await until(() => listeners() === 0)
  t.equal(a.app.tasks.listenerCount('start'), 0)
  t.same(gone, [])
})

t.test('a feed starts with the live tasks of all processes', async (t) => {
  const [a, b, c] = await members(t, 3)
  for (const [index, { app }] of [a, b, c].entries()) {
    for (let i = 0; i < 700; i++) app.addTask(untilAborted, { name: `${index}:${i}` })
  }
  await started(c.app.addTask(untilAborted, { name: 'last' }))
  const walk = async (filter: object): Promise<string[]> => {
    const found: string[] = []
    for await (const page of a.backend.live(filter)) found.push(...page.map(({ name }) => name))
    return found
  }
  const leave = a.backend.subscribe(() => {})
  const all = await walk({})
  t.equal(all.length, 2_101)
  t.equal(new Set(all).size, 2_101)
  t.equal((await walk({ process: b.id })).length, 700)
  t.equal((await walk({ process: a.id })).length, 700)
  t.same(await walk({ prefix: 'las' }), ['last'])
  leave()
})

t.test('error text is sent once a process may expose it', async (t) => {
  const [a, b] = await members(t, 2)
  const task = b.app.addTask(async () => { throw Object.assign(new Error('secret'), { code: 'E' }) }, { name: 'x' })
  await ended(task)
  t.match((await a.backend.get('x')).error, { code: 'E', message: undefined })
  a.backend.exposeErrors!()
  t.match((await a.backend.get('x')).error, { code: 'E', message: 'secret', stack: /secret/ })
  t.match((await a.backend.list({ limit: 1 })).tasks, [{ error: { message: 'secret' } }])
})

t.test('a process says goodbye when it closes, and leaves nothing on the emitter', async (t) => {
  const emitter = mqemitter()
  const a = await member(t, emitter)
  const b = await member(t, emitter)
  const gone: string[] = []
  const heard: string[] = []
  a.backend.subscribe((event, { name }) => heard.push(`${event} ${name}`), ({ id }) => gone.push(id))
  await until(() => b.app.tasks.listenerCount('end') === 1)
  b.app.addTask(untilAborted, { name: 'x' })
  await until(() => heard.length === 1)
  await b.app.close()
  await until(() => gone.length === 1)
  t.same(heard, ['start x', 'end x'], 'its tasks ended first')
  t.same(gone, [b.id])
  t.same((await a.backend.summary()).processes!.map(({ id }) => id), [a.id])
  await a.app.close()
  let received = 0
  const matcher = (emitter as any)._matcher
  for (const topic of [TOPICS.all, TOPICS.events, TOPICS.of(a.id), TOPICS.of(b.id)]) received += matcher.match(topic).length
  t.equal(received, 0)
  t.equal((emitter as any).closed, false, 'the emitter is the user\'s')
})

t.test('the app closes in time when the emitter was closed before it', async (t) => {
  const emitter = mqemitter()
  const a = await member(t, emitter)
  await new Promise<void>((resolve) => emitter.close(() => resolve()))
  const startedAt = Date.now()
  await a.app.close()
  t.ok(Date.now() - startedAt < 5_000)
})

t.test('an emitter that stalls while an app starts delays its first requests, and no more', async (t) => {
  const inner = mqemitter()
  const emitter: Emitter = {
    on (topic, listener, done) {
      inner.on(topic, listener, () => {
        if (topic === TOPICS.all) inner.emit({ topic, payload: encode('beat', 'other', ['{"pid":1,"hostname":"h","hello":true}']) })
        setTimeout(() => done?.(), 20)
      })
    },
    removeListener: inner.removeListener.bind(inner),
    // It takes the greeting of the other process, and nothing more.
    emit: (message, done) => { if (message.topic === TOPICS.of('other')) inner.emit(message, done) }
  }
  const { backend } = await Promise.race([member(t, emitter), sleep(10_000)]) as Member
  t.match(await backend.summary(), { missing: ['other'] })
})

t.test('an app that is closed before it is ready sends nothing', async (t) => {
  const emitter = mqemitter()
  const a = await member(t, emitter)
  const app = await appWithTasks(t, { emitter })
  await app.close()
  t.equal((await a.backend.summary()).processes!.length, 1)
})

t.test('emitters that throw, deliver twice, late, or back, or never call back, change nothing', async (t) => {
  for (const habit of ['twice', 'late', 'silent', 'notBack'] as const) {
    await t.test(habit, async (t) => {
      const inner = mqemitter()
      const [a, b] = [await member(t, unruly(inner, habit)), await member(t, unruly(inner, habit))]
      await until(async () => (await a.backend.summary()).processes!.length === 2)
      const heard: string[] = []
      a.backend.subscribe((event, { name }) => heard.push(`${event} ${name}`))
      await until(() => b.app.tasks.listenerCount('end') === 1)
      b.app.addTask(untilAborted, { name: 'x', ttl: 10_000 })
      t.match((await a.backend.list({ limit: 10 })).tasks, [{ name: 'x' }])
      await a.backend.heartbeat('x')
      t.match(await a.backend.cancel('x'), { state: 'cancelled' })
      t.same(await a.backend.purge(), { purged: 1, missing: undefined })
      await until(() => heard.length === 2)
      t.same(heard, ['start x', 'end x'])
    })
  }
})

t.test('with an emitter that throws, each process controls its own tasks and logs one line', async (t) => {
  const { lines, logger } = logged()
  const a = await member(t, unruly(mqemitter(), 'throws'), {}, logger)
  a.app.addTask(untilAborted, { name: 'x', ttl: 10_000 })
  t.match(await a.backend.list({ limit: 10 }), { tasks: [{ name: 'x' }] })
  await a.backend.heartbeat('x')
  t.match(await a.backend.cancel('x'), { state: 'cancelled' })
  await a.app.close()
  t.match(lines.filter(({ level }) => level >= 40), [{ msg: /The emitter does not deliver/, err: { message: 'emit' } }])
})

t.test('forged messages do what the routes allow, or nothing', async (t) => {
  const emitter = mqemitter()
  const { lines, logger } = logged('info')
  const a = await member(t, emitter, {}, logger)
  const task = a.app.addTask(untilAborted, { name: 'x' })
  const answers: any[] = []
  emitter.on(TOPICS.of('forger'), ({ payload }, done) => {
    answers.push(...JSON.parse(payload).items)
    done()
  })
  const forge = (topic: string, payload: unknown): void => emitter.emit({ topic, payload })
  const ask = (...item: unknown[]): void => forge(TOPICS.all, encode('ask', 'forger', [JSON.stringify(item)]))
  for (const topic of [TOPICS.all, TOPICS.of(a.id)]) {
    for (const payload of [undefined, '', 'x', {}, 'null', '[]', '9'.repeat(2 ** 21), encode('answer', 'forger', ['[1,"ok",{}]', 'null']), encode('events', 'forger', ['1', '["end",{}]']), encode('ask', 'forger', ['null', '[]', '{}', '[1]'])]) {
      forge(topic, payload)
    }
  }
  ask(1, 'constructor', {}, 1_000)
  ask(2, 'add', { name: 'y' }, 1_000)
  ask(3, 'cancel', {}, 1_000)
  ask(4, 'cancel', { name: 'x', more: 1 }, 1_000)
  ask(5, 'cancel', { name: { toString: 1 } }, 1_000)
  ask('6', 'cancel', { name: 'x' }, 1_000)
  ask(7, 'cancel', { name: 'x' }, 'long')
  ask(8, 'list', { limit: 1_000_000 }, 1_000)
  ask(9, 'list', { limit: 1, after: { [a.id]: 'no cursor of ours' }, states: 'all' }, 1_000)
  ask(10, 'cancelAll', { filter: {} }, 1_000)
  ask(11, 'list', { limit: 1, after: {} }, 1_000)
  ask(12, 'list', { limit: 1, after: 1 }, 1_000)
  ask(13, 'get', { name: 'x' }, 1_000)
  await until(() => answers.some(([id]) => id === 13))
  t.equal(task.state, 'running')
  t.same(answers.filter(([id, status]) => id !== 13 && status === 'ok'), [])
  t.match(answers.find(([id]) => id === 13), [13, 'ok', { name: 'x' }])
  t.same(lines.filter(({ level }) => level > 40), [])
})

t.test('answers are bounded in size, and the walk continues', async (t) => {
  const [a, b] = await members(t, 2)
  for (let i = 0; i < 40; i++) {
    await started(b.app.addTask((_app, task) => {
      task.updateProgress({ text: 'x'.repeat(30_000) })
      return untilAborted(_app, task)
    }, { name: `x${i}` }))
  }
  const seen: string[] = []
  let pages = 0
  for (let after: string | undefined; pages === 0 || after !== undefined; pages++) {
    const page = await a.backend.list({ limit: 100, after })
    seen.push(...page.tasks.map(({ name }) => name))
    after = page.next
  }
  t.ok(pages > 2)
  t.equal(new Set(seen).size, 40)
  t.equal(seen.length, 40)
})

t.test('names too large to send are listed as far as there is room, and affect no others', async (t) => {
  const [a, b] = await members(t, 2)
  b.app.addTask(untilAborted, { name: 'x'.repeat(700_000) })
  b.app.addTask(ignoresSignal, { name: 'y' + 'x'.repeat(200_000) })
  b.app.addTask(ignoresSignal, { name: 'z' + 'x'.repeat(200_000) })
  const page = await a.backend.list({ limit: 10, prefix: 'x' })
  t.same(page, { tasks: [], next: undefined, missing: undefined })
  t.same((await a.backend.list({ limit: 10 })).tasks.map(({ name }) => name[0]), ['z'], 'one answer has room for no more')
  const { tasks } = await a.backend.list({ limit: 1, prefix: 'y' })
  t.equal(tasks.length, 1)
  const { cancelled, remaining } = await a.backend.cancelAll({ states: ['running'] })
  t.equal(cancelled, 1)
  t.equal(remaining.length, 1)
})

t.test('a task too large to send does not hide others of its process', async (t) => {
  const [a, b] = await members(t, 2)
  const add = (name: string) => started(b.app.addTask(untilAborted, { name }))
  for (const name of ['old', 'x'.repeat(700_000), 'new', 'y'.repeat(700_000)]) await add(name)
  const work = b.app.addTask(() => { throw Object.assign(new Error('text'), { code: 'E'.repeat(700_000) }) }, { name: 'failed' })
  await ended(work)
  const names: string[] = []
  let after: string | undefined
  do {
    const page = await a.backend.list({ limit: 2, after })
    t.equal(page.missing, undefined)
    names.push(...page.tasks.map(({ name }) => name))
    after = page.next
  } while (after !== undefined)
  t.same(names, ['failed', 'new', 'old'])
  t.equal((await a.backend.get('failed')).state, 'failed')
  const live: string[] = []
  for await (const page of a.backend.live({})) live.push(...page.map(({ name }) => name))
  t.same(live, ['new', 'old'])
})

t.test('two apps that share an emitter are two processes', async (t) => {
  const [a, b] = await members(t, 2)
  t.not(a.id, b.id)
  const { processes } = await a.backend.summary()
  t.same(processes!.map(({ pid }) => pid), [process.pid, process.pid])
})

t.test('a request that arrives late is not executed', async (t) => {
  const emitter = mqemitter() as Emitter
  const a = await member(t, emitter)
  const task = a.app.addTask(untilAborted, { name: 'x' })
  const at = Math.round(performance.now())
  const message = (kind: string, at: number, item: unknown): void => {
    emitter.emit({ topic: TOPICS.all, payload: JSON.stringify({ kind, from: 'b', at, items: [item] }) })
  }
  message('beat', at, { pid: 1, hostname: 'h' })
  message('ask', at - 5_000, [1, 'cancel', { name: 'x' }, 1_000])
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(task.state, 'running')
  message('ask', at, [2, 'cancel', { name: 'x' }, 1_000])
  await until(() => task.state === 'cancelled')
  message('bye', at, undefined)
})

t.test('a process whose answers make no sense is missing', async (t) => {
  const emitter = mqemitter()
  const a = await member(t, emitter)
  const liar = fakePeer(emitter, 'liar')
  t.teardown(() => liar.leave())
  for (const answer of [['ok', { tasks: 'all' }], ['ok', null], ['failed']]) {
    liar.answer = () => answer
    t.match(await a.backend.list({ limit: 1 }), { tasks: [], missing: ['liar'] })
    t.match(await a.backend.summary(), { processes: [{ id: a.id }], missing: ['liar'] })
    t.match(await a.backend.purge(), { purged: 0, missing: ['liar'] })
    t.match(await a.backend.cancelAll({ prefix: 'x' }), { cancelled: 0, missing: ['liar'] })
    const pages = []
    for await (const page of a.backend.live({})) pages.push(...page)
    t.same(pages, [])
  }
  liar.answer = () => ['ok', {}]
  await t.rejects(a.backend.get('x') as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_FOUND' })
  liar.answer = () => ['refused']
  await t.rejects(a.backend.cancel('x') as Promise<unknown>, { code: 'FST_ERR_TASK_NOT_LIVE' })
  liar.answer = () => ['odd']
  await t.rejects(a.backend.get('x') as Promise<unknown>, { code: 'FST_ERR_TASK_OUT_OF_REACH', missing: ['liar'] })
})

t.test('a walk of live tasks ends with its client', async (t) => {
  const emitter = mqemitter()
  const a = await member(t, emitter)
  const peer = fakePeer(emitter, 'peer')
  t.teardown(() => peer.leave())
  let asked = 0
  peer.answer = () => {
    asked++
    return ['ok', { tasks: [{ name: `x${asked}`, state: 'running', createdAt: 1 }], cursors: ['1'], next: '1' }]
  }
  for await (const page of a.backend.live({ prefix: 'x' })) {
    if (page.length > 0 && asked === 3) break
  }
  t.equal(asked, 3)
})

t.test('an error in a request is thrown to the caller', async (t) => {
  const [a] = await members(t, 2)
  await t.rejects(async () => a.backend.get(1 as never), { code: 'FST_ERR_TASK_INVALID_ARGUMENT' })
})
