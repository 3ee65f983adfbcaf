import t from 'tap'
import { start } from '../fixtures/child'

t.setTimeout(170_000)

t.test('a fleet of two processes loses no job when one of them is killed', async (t) => {
  t.setTimeout(60_000)
  const fleet = start(t, ['examples/fleet.ts'])
  t.equal(await fleet.exited, 0, fleet.output())
  const output = fleet.output()
  t.match(output, /report:1 not added again: FST_ERR_JOB_NAME_IN_USE/)
  const [, killed] = /killed worker (\d+)/.exec(output)!
  t.match(output, new RegExp(`worker ${killed} +report:1 starts, attempt 1`))
  t.match(output, /report:1 starts, attempt 2/)
  t.equal(output.match(/done: report:\d of 8 pages/g)!.length, 4)
  t.notMatch(output, new RegExp(`done: .* by ${killed}`))
  t.match(output, /none was lost/)
})

t.test('a fleet that is stopped by Ctrl-C leaves no process behind', async (t) => {
  t.setTimeout(60_000)
  const fleet = start(t, ['examples/fleet.ts'])
  const [, worker] = await fleet.printed(/worker (\d+) +is ready/)
  fleet.process.kill('SIGINT')
  t.equal(await fleet.exited, 0)
  t.throws(() => process.kill(Number(worker), 0), { code: 'ESRCH' })
})

t.test("bull-board shows the jobs' queue", async (t) => {
  t.setTimeout(60_000)
  const app = start(t, ['examples/bull-board.ts'])
  const [url] = await app.printed(/http:\S+/)
  t.match(await (await fetch(url)).text(), '<!DOCTYPE html>')
  const { queues } = await (await fetch(`${url}api/queues`)).json() as { queues: unknown[] }
  t.match(queues, [{ name: 'board', counts: { completed: 1 } }])
  app.process.kill('SIGTERM')
  t.equal(await app.exited, 0, app.output())
})
