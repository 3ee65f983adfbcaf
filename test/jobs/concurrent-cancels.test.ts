import t from 'tap'
import { ConcurrentCancels } from '../../lib/jobs/concurrent-cancels'

t.test('a cancel that finds its job gone has been told of those that were under way', async (t) => {
  const cancels = new ConcurrentCancels()
  let stop!: (stopped: boolean) => void
  let fail!: (error: Error) => void
  const stopping = cancels.run('a', () => new Promise((resolve) => { stop = resolve }))
  const failing = cancels.run('a', () => new Promise((_resolve, reject) => { fail = reject }))
  const late = [cancels.run('a', async () => undefined), cancels.run('a', async () => undefined)]
  t.equal(await cancels.run('a', async () => false), false, 'one whose job had ended before')
  t.equal(await cancels.run('b', async () => undefined), false, 'one of another name')
  fail(new Error('away'))
  await t.rejects(failing, { message: 'away' })
  stop(true)
  t.equal(await stopping, true)
  t.same(await Promise.all(late), [true, true])
  t.equal(await cancels.run('a', async () => undefined), false)
})
