import diagnostics from 'node:diagnostics_channel'
import t from 'tap'
import { runChannel } from '../../lib/tasks/tracing'
import { ended, readyApp } from '../fixtures/app'

t.test('each run is traced while somebody listens, with its task', async (t) => {
  const app = await readyApp(t)
  const seen: string[] = []
  const note = (event: string) => ({ task }: { task: { name: string } }) => { seen.push(`${event} ${task.name}`) }
  const subscribers = {
    start: note('start'), end: note('end'), asyncStart: note('asyncStart'), asyncEnd: note('asyncEnd'), error: note('error')
  }
  runChannel.subscribe(subscribers)
  await app.addTask(async () => 1, { name: 'a' })
  await ended(app.addTask(async () => { throw new Error('no') }, { name: 'b' }))
  await ended(app.addTask(() => { throw new Error('sync') }, { name: 'c' }))
  runChannel.unsubscribe(subscribers)
  await app.addTask(async () => 1, { name: 'd' })
  t.same(seen, [
    'start a', 'end a', 'asyncStart a', 'asyncEnd a',
    'start b', 'end b', 'error b', 'asyncStart b', 'asyncEnd b',
    'start c', 'error c', 'end c'
  ])
  t.equal(app.getTask('c')?.state, 'failed')
})

t.test('the channel is found by its name', async (t) => {
  t.ok(diagnostics.channel('tracing:fastify-tasks.run:start') === runChannel.start)
})
