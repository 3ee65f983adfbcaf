import t from 'tap'
import { ignoresSignal, readyApp, started } from '../fixtures/app'

t.test('a task that was cancelled before is not given the time to finish, though it has onClose: wait', async (t) => {
  const app = await readyApp(t, { cancelTimeout: 20, closeTimeout: 30_000 })
  const task = app.addTask(ignoresSignal, { name: 'cancelled', onClose: 'wait' })
  await started(task)
  task.cancel()
  const since = Date.now()
  await app.close()
  t.ok(Date.now() - since < 10_000)
})
