import t from 'tap'
import { COMPLETED, PENDING, RUNNING } from '../../lib/tasks/status'
import { Tally } from '../../lib/tasks/tally'

t.test('only the end of the last live task waits for an immediate, and only if somebody waits for it', async (t) => {
  let immediates = 0
  const tally = new Tally(async () => { immediates++ })
  for (let i = 0; i < 3; i++) tally.add()
  tally.move(PENDING, COMPLETED)
  const idle = tally.whenIdle()
  t.ok(tally.isAwaited)
  tally.move(PENDING, RUNNING)
  tally.move(RUNNING, COMPLETED)
  t.equal(immediates, 0)
  tally.move(PENDING, COMPLETED)
  t.equal(immediates, 1)
  await idle
  t.notOk(tally.isAwaited)
  tally.add()
  tally.move(PENDING, COMPLETED)
  t.equal(immediates, 1, 'nobody waits')
})

t.test('a wait ends once, though tasks end twice in one immediate', async (t) => {
  let next!: () => void
  const immediate = new Promise<void>((resolve) => { next = resolve })
  const tally = new Tally(() => immediate)
  tally.add()
  const idle = tally.whenIdle()
  tally.move(PENDING, COMPLETED)
  tally.add()
  tally.move(PENDING, COMPLETED)
  next()
  await idle
  t.notOk(tally.isAwaited)
})
