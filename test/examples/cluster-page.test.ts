import t from 'tap'
import { startExample } from '../fixtures/child'
import { until } from '../fixtures/processes'

t.setTimeout(120_000)

const ADDRESS = /http:\/\/[^\s/]+/

t.test('the workers of a cluster show and cancel the tasks of each other', async (t) => {
  const { url, process: primary, exited, output } = await startExample(t, 'cluster-page.ts', ADDRESS)
  const list = async (): Promise<any> => (await fetch(`${url}/tasks/api/`)).json()
  await until(async () => {
    const { tasks } = await list()
    return new Set(tasks.map((task: any) => task.process.pid)).size === 4
  }, 60_000)
  const added = await fetch(`${url}/reports`, { method: 'POST' })
  t.equal(added.status, 202)
  const { task } = await added.json() as { task: string }
  // Each connection goes to another worker.
  for (let i = 0; i < 8; i++) {
    const seen = await fetch(`${url}/tasks/api/${task}`, { headers: { connection: 'close' } })
    t.equal(seen.status, 200)
    t.match(await seen.json(), { state: 'running', process: { pid: Number(/\d+/.exec(task)![0]) } })
  }
  const cancelled = await fetch(`${url}/tasks/api/${task}`, { method: 'DELETE', headers: { connection: 'close' } })
  t.equal(cancelled.status, 200)
  t.match(await cancelled.json(), { state: 'cancelled' })
  const pollers = await fetch(`${url}/tasks/api/poller`, { method: 'DELETE', headers: { connection: 'close' } })
  t.equal(pollers.status, 200)
  t.equal((await list()).tasks.filter((task: any) => task.name === 'poller' && task.state === 'cancelled').length, 4)

  primary.kill('SIGTERM')
  t.equal(await exited, 0, output())
  t.match(output(), /every task of every worker has stopped/)
})
