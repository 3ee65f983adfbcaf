import t from 'tap'
import { kTasksControlBackend, controlBackendOf } from '../../lib/shared/control-backend'
import { readyApp, untilAborted } from '../fixtures/app'

t.test('an empty filter is refused, and cancels nothing', async (t) => {
  const app = await readyApp(t)
  const task = app.addTask(untilAborted, { name: 'a' })
  const backend = controlBackendOf(app, kTasksControlBackend)!
  for (const filter of [{}, { process: 'p' }, { group: undefined }]) {
    await t.rejects(backend.cancelAll(filter), { code: 'FST_ERR_TASK_INVALID_BODY', statusCode: 400 })
  }
  t.equal(task.endedAt, undefined)
})

t.test('what is added during a walk through the live tasks is not part of it', async (t) => {
  const app = await readyApp(t)
  for (let i = 0; i < 150; i++) app.addTask(untilAborted, { name: `t-${i}` })
  const seen: string[] = []
  for (const page of controlBackendOf(app, kTasksControlBackend)!.live({}) as Iterable<Array<{ name: string }>>) {
    seen.push(...page.map(({ name }) => name))
    app.addTask(untilAborted)
  }
  t.same(seen, Array.from({ length: 150 }, (_, i) => `t-${i}`))
})

t.test('without tasks there are no pages', async (t) => {
  const app = await readyApp(t)
  t.same([...controlBackendOf(app, kTasksControlBackend)!.live({}) as Iterable<unknown>], [])
})

t.test('if few tasks match, a page of the walk may be empty', async (t) => {
  const app = await readyApp(t)
  for (let i = 0; i < 2_500; i++) app.addTask(untilAborted)
  app.addTask(untilAborted, { name: 'last' })
  const pages = [...controlBackendOf(app, kTasksControlBackend)!.live({ prefix: 'last' }) as Iterable<unknown[]>]
  t.same(pages.map(({ length }) => length), [0, 0, 1])
})
