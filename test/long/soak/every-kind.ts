import type { FastifyInstance } from 'fastify'
import { untilAborted } from '../../fixtures/app'

const fail = async (): Promise<never> => { throw new Error('a failing handler') }

const ignore = (): void => {}

/** One way for a task to come and go each. Resolves when it is gone. */
const KINDS: Record<string, (app: FastifyInstance, outer: AbortSignal, n: number) => unknown> = {
  returns: (app) => app.addTask(() => 1),
  'is awaited': async (app) => await app.addTask(async () => 1),
  'is named': (app, _outer, n) => app.addTask(() => {}, { name: `named:${n % 3_000}:${n}` }),
  'takes a name again': (app, _outer, n) => app.addTask(() => {}, { name: `again:${n}` }).then(() => app.addTask(() => {}, { name: `again:${n}` })),
  fails: (app) => app.addTask(fail).then(ignore, ignore),
  'throws at once': (app) => app.addTask(() => { throw new Error('a failing handler') }).then(ignore, ignore),
  'is a promise': (app) => app.addTask(Promise.resolve(1)),
  'is a promise that fails': (app) => app.addTask(fail()).then(ignore, ignore),
  'is cancelled before it starts': (app) => { app.addTask(ignore, { ttl: 60_000 }).cancel() },
  'is cancelled while it runs': (app, _outer, n) => {
    const name = `cancelled:${n}`
    app.addTask(untilAborted, { name, ttl: 60_000 })
    return new Promise(resolve => setImmediate(resolve)).then(() => app.cancelTask(name))
  },
  'leaves its scope': (app) => app.addTask(untilAborted, { onClose: 'wait' })[Symbol.asyncDispose](),
  expires: (app) => app.addTask(untilAborted, { ttl: 1 }).then(ignore, ignore),
  'lives on heartbeats': (app) => app.addTask(async (_app, task) => {
    for (let i = 0; i < 10; i++) task.heartbeat()
  }, { ttl: 100 }),
  'shares an outer signal': (app, outer) => app.addTask(() => {}, { signal: outer }),
  'has an outer signal of its own': (app) => {
    const controller = new AbortController()
    const task = app.addTask(untilAborted, { signal: controller.signal })
    setImmediate(() => controller.abort())
    return task.then(ignore, ignore)
  },
  'reports progress': (app) => app.addTask((_app, task) => {
    task.updateProgress({ done: 1 })
    task.log.trace('half')
  }),
  'is of a group': (app, _outer, n) => app.addTask(() => {}, { name: `grouped:${n}`, group: `user:${n % 100}` }),
  'queues in a limited group': (app) => app.addTask(async () => 1, { group: 'limited' }),
  'is cancelled in its queue': (app, _outer, n) => app.addTask(untilAborted, { name: `queued:${n}`, group: 'limited', ttl: 60_000 }).cancel(),
  'is a promise in a limited group': (app) => app.addTask(Promise.resolve(1), { group: 'limited' }),
  'is refused by a full group': (app) => {
    try {
      app.addTask(ignore, { group: 'full' })
    } catch {}
  },
  'is cancelled with its group': (app, _outer, n) => {
    app.addTask(untilAborted, { group: `gone:${n}` })
    return app.cancelTasks({ group: `gone:${n}` })
  },
  'takes too long': (app) => app.addTask(untilAborted, { timeout: 1 }).then(ignore, ignore),
  'is waited for by its group': (app, _outer, n) => {
    app.addTask(ignore, { group: `idle:${n}` })
    return app.tasks.onIdle(`idle:${n}`)
  }
}

export const kinds = Object.values(KINDS)

/** The limits of the groups above, to be set once in an app. */
export function defineGroups (app: FastifyInstance): void {
  app.defineTaskGroup('limited', { concurrency: 3 })
  app.defineTaskGroup('full', { concurrency: 1, maxPending: 1 })
}

/** So many tasks come and go, of every kind in turn, a batch at a time. @returns how many were added, some kinds adding two */
export async function comeAndGo (app: FastifyInstance, count: number, outer: AbortSignal, batch = 1_000): Promise<void> {
  for (let n = 0; n < count;) {
    const gone: unknown[] = []
    for (const end = Math.min(count, n + batch); n < end; n++) gone.push(kinds[n % kinds.length](app, outer, n))
    await Promise.all(gone)
    app.purgeTasks()
  }
  await new Promise(resolve => setImmediate(resolve))
  app.purgeTasks()
}
