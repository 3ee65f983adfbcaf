import t from 'tap'
import { checkName } from '../../lib/jobs/options'
import { Requests } from '../../lib/jobs/requests'
import { timers } from '../../lib/shared/timers'

t.test('what is under way fails at once when its connection is lost', async (t) => {
  const requests = new Requests(() => 0)
  const asked = [requests.run(() => new Promise(() => {})), requests.run(() => new Promise(() => {}))]
  requests.abandonAll(new Error('lost'))
  for (const one of asked) await t.rejects(one, { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { message: 'lost' } })
  t.equal(await requests.run(async () => 'there'), 'there')
})

t.test('a name that is too long, or no text, is refused', async (t) => {
  for (const name of ['x'.repeat(1_001), 'nul \0', '\ud800']) t.throws(() => checkName(name), { code: 'FST_ERR_JOB_INVALID_TEXT' })
  t.doesNotThrow(() => checkName('x'.repeat(1_000)))
})

t.test('a look at the store that comes after the answer is the last', async (t) => {
  const looks: Array<() => void> = []
  const real = { ...timers }
  t.teardown(() => { Object.assign(timers, real) })
  Object.assign(timers, { setTimeout: (look: () => void) => looks.push(look), setImmediate: (look: () => void) => { look() } })
  await new Requests(() => 0).run(async () => 'there')
  t.equal(looks.length, 1)
  looks[0]()
  t.equal(looks.length, 1)
})
