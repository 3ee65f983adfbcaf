import t from 'tap'
import { appWithTasks, ended, logged, readyApp } from '../fixtures/app'

t.test("what a task of a request logs carries the request's id, its failure included", async (t) => {
  const { lines, logger } = logged()
  const app = await appWithTasks(t, {}, { logger, genReqId: () => 'the request' })
  await app.register(async (child) => {
    child.decorate('secret', 42)
    child.post('/', (request, reply) => {
      const task = request.addTask(function (app, task) {
        task.log.info('from the task')
        if (this === child && app === child) throw new Error('broken')
      }, { name: 'a' })
      reply.code(202).send({ task: task.name })
    })
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 202)
  const task = app.getTask('a')!
  await ended(task)
  const own = lines.filter((line) => line.task === 'a') as any[]
  t.same(own.map(({ msg, reqId }) => [msg, reqId]), [['from the task', 'the request'], ['Task failed: a', 'the request']])
  t.match(own[1].err, { message: 'broken' })
})

t.test('a cancel of such a task is logged with the id, too, and an option log comes first', async (t) => {
  const { lines, logger } = logged()
  const app = await appWithTasks(t, {}, { logger, genReqId: () => 'the request' })
  app.post('/', (request, reply) => {
    request.addTask(() => 1, { name: 'cancelled' }).cancel('why')
    request.addTask((_app, task) => task.log.info('told'), { name: 'own', log: app.log.child({ own: true }) })
    reply.code(202).send()
  })
  await app.inject({ method: 'POST', url: '/' })
  await ended(app.getTask('own')!)
  t.match(lines.filter(({ task }) => task === 'cancelled'), [{ reqId: 'the request', msg: 'Task cancelled', reason: 'why' }])
  const [told] = lines.filter(({ task }) => task === 'own') as any[]
  t.same([told.own, told.reqId, told.msg], [true, undefined, 'told'])
})

t.test("without a request, a task logs with the option log, else with the app's logger", async (t) => {
  const { lines, logger } = logged('error')
  const app = await readyApp(t, {}, { logger })
  await ended(app.addTask(() => { throw new Error('a') }, { name: 'a', log: app.log.child({ part: 'reports' }) }))
  await ended(app.addTask(() => { throw new Error('b') }, { name: 'b' }))
  t.same(lines.map((line: any) => [line.task, line.part]), [['a', 'reports'], ['b', undefined]])
})

for (const log of [null, {}, 'log', { child: () => {} }, { get child (): never { throw new Error('poisoned') } }] as any[]) {
  t.test('a log option that is not a logger is refused', async (t) => {
    const app = await readyApp(t)
    t.throws(() => app.addTask(() => 1, { log }), { code: 'FST_ERR_TASK_INVALID_OPTION', message: /'log' must be a logger/ })
    t.equal(app.tasks.size, 0)
  })
}
