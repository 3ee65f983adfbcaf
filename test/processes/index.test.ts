/** One process on an emitter, and what the test says in the name of others. */
import t from 'tap'
import type { Emitter } from '../../index'
import { Processes } from '../../lib/processes'
import { TOPICS, decode, type Message, type MessageKind } from '../../lib/processes/messages'
import type { ControlBackend, ControlEvent, LiveEntry, Snapshot } from '../../lib/shared/control-backend'
import { FST_ERR_TASK_NOT_FOUND } from '../../lib/shared/errors'
import { logged } from '../fixtures/app'
import { FakeTime } from '../fixtures/fake-time'
import { pino } from '../fixtures/processes'

const time = new FakeTime()
t.teardown(time.restore)

/** The time goes on by so many ms at once. */
async function pass (ms: number): Promise<void> {
  time.stall(ms)
  await time.turn()
}

async function seconds (count: number): Promise<void> {
  for (let i = 0; i < count; i++) await pass(1_000)
}

type Listener = Parameters<Emitter['on']>[1]
type OwnListener = (event: ControlEvent, entry: LiveEntry) => void

/** An emitter that delivers at once. */
class FakeEmitter implements Emitter {
  readonly listeners = new Map<string, Set<Listener>>()
  readonly sent: Message[] = []
  /** What follows a subscription. */
  subscribed = (done: () => void): void => done()
  /** Whether it fails at each message. */
  fails = false
  drops = (_message: Message): boolean => false

  on (topic: string, listener: Listener, done: () => void): void {
    this.listeners.set(topic, (this.listeners.get(topic) ?? new Set()).add(listener))
    this.subscribed(done)
  }

  removeListener (topic: string, listener: Listener, done: () => void): void {
    this.listeners.get(topic)!.delete(listener)
    done()
  }

  emit ({ topic, payload }: { topic: string, payload: string }, done: (error?: Error) => void): void {
    const message = decode(payload)!
    this.sent.push(message)
    if (this.fails) return done(new Error('away'))
    if (!this.drops(message)) this.deliver(topic, payload)
    done()
  }

  deliver (topic: string, payload: unknown): void {
    for (const listener of this.listeners.get(topic) ?? []) listener({ topic, payload }, () => {})
  }

  /** The last message of a kind. */
  last (kind: MessageKind): any {
    return this.sent.findLast((message) => message.kind === kind)?.items.at(-1)
  }

  get topics (): string[] {
    return [...this.listeners].filter(([, { size }]) => size > 0).map(([topic]) => topic)
  }
}

function processOn (emitter: FakeEmitter, own: object = {}) {
  const { lines, logger } = logged()
  const listeners = new Set<OwnListener>()
  const subscribe = (listener: OwnListener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  const processes = new Processes({ purge: () => ({ purged: 0 }), subscribe, ...own } as unknown as ControlBackend, {
    emitter, peerTimeout: 300, cancelTimeout: 20, identity: { id: 'here', pid: 1, hostname: 'h' }, log: pino(logger)
  })
  /** What another process has sent, so many ms ago. */
  const hear = (kind: MessageKind, from: string, items: unknown[] = [], age = 0): void => {
    emitter.deliver(TOPICS.all, JSON.stringify({ kind, from, at: time.now - age, items }))
  }
  const beat = (from: string, more: object = {}): void => hear('beat', from, [{ pid: 2, hostname: 'h', ...more }])
  const close = async (): Promise<void> => {
    const closed = processes.close()
    await time.turn()
    await closed
  }
  return { emitter, processes, backend: processes.backend, lines, listeners, hear, beat, close }
}

/** A process that has started, and has waited for the others. */
async function started (own?: object) {
  const process = processOn(new FakeEmitter(), own)
  await process.processes.open()
  await pass(100)
  return process
}

t.test('a start waits until the emitter has subscribed, but not for longer than a second', async (t) => {
  for (const [isSubscribed, ms] of [[true, 500], [false, 1_000]] as const) {
    const emitter = new FakeEmitter()
    const waiting: Array<() => void> = []
    emitter.subscribed = (done) => { waiting.push(done) }
    let isOpen = false
    processOn(emitter).processes.open().then(() => { isOpen = true })
    await pass(ms - 1)
    t.notOk(isOpen)
    if (isSubscribed) for (const done of waiting) done()
    await pass(1)
    t.ok(isOpen)
    t.match(emitter.last('beat'), { hello: true })
  }
})

t.test('a beat says that this process listens, and that it may expose error text, only while it does', async (t) => {
  const { emitter, backend } = await started()
  t.match(emitter.last('beat'), { pid: 1, hostname: 'h', listens: false, exposes: false })
  const leave = backend.subscribe(() => {})
  await time.settle()
  t.match(emitter.last('beat'), { listens: true, exposes: false })
  leave()
  t.match(emitter.last('beat'), { listens: false })
  t.notOk(emitter.topics.includes(TOPICS.events))
  backend.exposeErrors!()
  await pass(1_000)
  t.match(emitter.last('beat'), { listens: false, exposes: false })
  backend.subscribe(() => {})
  await time.settle()
  t.match(emitter.last('beat'), { listens: true, exposes: true })
  t.ok(emitter.topics.includes(TOPICS.events))
})

t.test('error text is requested from others once a plugin of this process may expose it', async (t) => {
  const { emitter, backend, beat } = await started({ get () { throw new FST_ERR_TASK_NOT_FOUND('x') }, live: () => [] })
  beat('b')
  const requested = async (): Promise<unknown[]> => {
    const before = emitter.sent.length
    Promise.resolve(backend.get('x')).catch(() => {});
    (backend.live({}) as AsyncGenerator).next()
    await time.settle()
    await time.turn()
    return emitter.sent.slice(before).flatMap(({ items }) => items.map(([, operation, { exposes }]: any) => [operation, exposes]))
  }
  t.same(await requested(), [['get', false], ['list', false]])
  backend.exposeErrors!()
  t.same(await requested(), [['get', true], ['list', true]])
})

t.test('error text is in the events while one of the processes that listen may expose it', async (t) => {
  const { emitter, listeners, hear, beat } = await started()
  const failed = { name: 'x', createdAt: 1, toJSON: () => ({ name: 'x', state: 'failed', createdAt: 1, error: { code: 'E', message: 'secret' } }) as Snapshot }
  const sentError = async (): Promise<unknown> => {
    for (const listener of listeners) listener('end', failed)
    await pass(20)
    return emitter.last('events')[1].error
  }
  beat('b', { listens: true })
  t.same(await sentError(), { code: 'E' })
  beat('c', { listens: true, exposes: true })
  t.same(await sentError(), { code: 'E', message: 'secret' })
  hear('bye', 'c')
  t.same(await sentError(), { code: 'E' })
  hear('bye', 'b')
  t.equal(listeners.size, 0)
})

t.test('a process that has left, or has missed three beats, is not asked and not missing', async (t) => {
  const { emitter, backend, hear, beat } = await started()
  const gone: string[] = []
  backend.subscribe(() => {}, ({ id }) => gone.push(id))
  beat('b')
  beat('c')
  hear('bye', 'b')
  t.same(gone, ['b'])
  await seconds(5)
  t.same(gone, ['b', 'c'])
  const { length } = emitter.sent
  t.same(await backend.purge(), { purged: 0, missing: undefined })
  t.equal(emitter.sent.length, length)
})

t.test('while the emitter is down nobody is asked, and all are missing at once', async (t) => {
  const { emitter, backend, beat, lines } = await started()
  beat('b')
  emitter.fails = true
  await pass(1_000)
  t.same(await backend.purge(), { purged: 0, missing: ['b'] })
  t.equal(emitter.last('ask'), undefined)
  t.match(lines, [{ level: 40, msg: /The emitter does not deliver/, err: { message: 'away' } }])
})

t.test('only the return of its own beats tells a process that the emitter delivers', async (t) => {
  const { emitter, hear, lines } = await started()
  await pass(1_000)
  emitter.drops = ({ kind }) => kind === 'beat'
  for (let i = 0; i < 3; i++) {
    hear('ask', 'here')
    await pass(1_000)
  }
  t.match(lines, [{ level: 40, msg: /The emitter does not deliver/ }])
})

t.test('a process that closes ends its subscriptions and says goodbye', async (t) => {
  const { emitter, listeners, beat, close } = await started()
  beat('b', { listens: true })
  t.equal(listeners.size, 1)
  await close()
  t.equal(emitter.sent.at(-1)!.kind, 'bye')
  t.equal(listeners.size, 0)
  t.same(emitter.topics, [])
  const { length } = emitter.sent
  await seconds(5)
  t.equal(emitter.sent.length, length)
})

t.test('a process that closes while the emitter is down sends nothing more', async (t) => {
  const { emitter, close } = await started()
  emitter.fails = true
  await pass(1_000)
  const { length } = emitter.sent
  await close()
  t.equal(emitter.sent.length, length)
  t.same(emitter.topics, [])
})

t.test('a request that was on its way for longer than its timeout is not executed', async (t) => {
  let purged = 0
  const { hear, beat } = await started({ purge: async () => ({ purged: ++purged }) })
  await seconds(5)
  beat('b')
  hear('ask', 'b', [[1, 'purge', {}, 1_000]], 1_001)
  t.equal(purged, 0)
  hear('ask', 'b', [[2, 'purge', {}, 1_000]], 1_000)
  t.equal(purged, 1)
})

t.test('what is no message of a process changes nothing, and is not logged', async (t) => {
  const { emitter, lines, hear } = await started()
  const { length } = emitter.sent
  for (const payload of [undefined, null, 1, {}, '', 'x', '[]', '{}', '{"kind":"ask"}']) emitter.deliver(TOPICS.all, payload)
  for (const kind of ['answer', 'events', 'ask', 'bye', 'beat'] as const) hear(kind, 'unknown', [[1, 'ok', {}]])
  t.same(lines, [])
  t.equal(emitter.sent.length, length)
})
