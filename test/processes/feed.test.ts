/** What the feed tells of several processes. */
import mqemitter from 'mqemitter'
import t, { type Test } from 'tap'
import type { Emitter } from '../../index'
import tasksFeed from '../../lib/control/feed'
import { TOPICS } from '../../lib/processes/messages'
import { controlBackendOf, kTasksControlBackend } from '../../lib/shared/control-backend'
import { appWithTasks, listen, started, untilAborted } from '../fixtures/app'
import { join } from '../fixtures/feed-client'
import { fakePeer } from '../fixtures/processes'

async function served (t: Test, emitter: Emitter) {
  const app = await appWithTasks(t, { emitter, peerTimeout: 5_000 })
  await app.register(tasksFeed, { prefix: '/feed', onRequest: [] })
  const url = `ws://${await listen(app)}/feed`
  const { process: { id } } = await controlBackendOf(app, kTasksControlBackend)!.summary()
  return { app, url, id }
}

const told = ({ event, task, process }: any) => [event, task?.name ?? process.id, task?.process.id]

t.test('a client learns that events were lost, even the first ones after it has connected', async (t) => {
  const emitter = mqemitter()
  let isLost = true
  const lossy: Emitter = {
    on: (...args) => emitter.on(...args),
    removeListener: (...args) => emitter.removeListener(...args),
    emit (message, done) {
      if (isLost && message.topic === TOPICS.events) done?.()
      else emitter.emit(message, done)
    }
  }
  const [a, b] = [await served(t, emitter), await served(t, lossy)]
  await started(b.app.addTask(untilAborted, { name: 'before' }))
  const client = await join(a.url)
  await client.until(1)
  await b.app.cancelTask('before')
  await started(b.app.addTask(untilAborted, { name: 'after' }))
  t.same((await client.until(3)).map(told), [['snapshot', 'before', b.id], ['gone', b.id, undefined], ['snapshot', 'after', b.id]])
  isLost = false
  await b.app.cancelTask('after')
  t.match(await client.until(4), [{}, {}, {}, { event: 'end', task: { name: 'after' } }])
})

t.test('a client receives the live tasks of all processes, then the events, and when a process leaves', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  for (const { app } of [a, b]) await started(app.addTask(untilAborted, { name: 'both' }))
  const client = await join(a.url)
  t.same((await client.until(2)).map(told), [['snapshot', 'both', a.id], ['snapshot', 'both', b.id]])
  await b.app.addTask(() => {}, { name: 'there' })
  await client.until(4)
  await a.app.addTask(() => {}, { name: 'here' })
  await client.until(6)
  await b.app.close()
  t.same((await client.until(8)).slice(2).map(told), [
    ['start', 'there', b.id], ['end', 'there', b.id], ['start', 'here', a.id], ['end', 'here', a.id],
    ['end', 'both', b.id], ['gone', b.id, undefined]
  ])
})

t.test('a client with a filter by process, group or prefix receives nothing else', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  for (const { app } of [a, b]) for (const name of ['x:1', 'y:1']) await started(app.addTask(untilAborted, { name, group: name[0] }))
  const queries = [`?process=${b.id}`, '?group=x', '?prefix=y', '?group=', `?process=${a.id}`]
  const clients = await Promise.all(queries.map((query) => join(a.url + query)))
  for (const client of clients.filter((_, index) => index !== 3)) await client.until(2)
  await b.app.close()
  await Promise.all([5, 4, 4, 1].map((count, index) => clients[index].until(count)))
  t.same(clients.map(({ messages }) => messages.map(told)), [
    [['snapshot', 'y:1', b.id], ['snapshot', 'x:1', b.id], ['end', 'x:1', b.id], ['end', 'y:1', b.id], ['gone', b.id, undefined]],
    [['snapshot', 'x:1', a.id], ['snapshot', 'x:1', b.id], ['end', 'x:1', b.id], ['gone', b.id, undefined]],
    [['snapshot', 'y:1', a.id], ['snapshot', 'y:1', b.id], ['end', 'y:1', b.id], ['gone', b.id, undefined]],
    [['gone', b.id, undefined]],
    [['snapshot', 'x:1', a.id], ['snapshot', 'y:1', a.id]]
  ])
})

t.test('other parameters in the URL of a client filter nothing', async (t) => {
  const emitter = mqemitter()
  const [a, b] = [await served(t, emitter), await served(t, emitter)]
  await started(b.app.addTask(untilAborted, { name: 'x' }))
  const client = await join(`${a.url}?token=secret`)
  t.same((await client.until(1)).map(told), [['snapshot', 'x', b.id]])
})

t.test('a process that joins while a client listens is reported, and one that never answers delays nobody', async (t) => {
  const emitter = mqemitter()
  const a = await served(t, emitter)
  const silent = fakePeer(emitter, 'silent')
  silent.answer = () => ['']
  const client = await join(a.url)
  const b = await served(t, emitter)
  await b.app.addTask(() => {}, { name: 'x' })
  t.same((await client.until(2)).map(told), [['start', 'x', b.id], ['end', 'x', b.id]])
  silent.leave()
  t.same((await client.until(3)).map(told)[2], ['gone', 'silent', undefined])
})
