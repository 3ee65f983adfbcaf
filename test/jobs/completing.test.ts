import t from 'tap'
import { retryNoting, retryTaking } from '../../lib/jobs/completing'
import { stored } from '../fixtures/engine'

/** Of stores that take nothing for now. */
const AWAY = [
  Object.assign(new Error('the database system is starting up'), { code: '57P03' }),
  Object.assign(new Error('sorry, too many clients already'), { code: '53300' }),
  Object.assign(new Error('cannot execute INSERT in a read-only transaction'), { code: '25006' }),
  Object.assign(new Error('deadlock detected'), { code: '40P01' }),
  new Error('Connection terminated unexpectedly'), Object.assign(new Error('read'), { code: 'ECONNRESET' }),
  ...['READONLY You can\'t write against a read only replica.', "OOM command not allowed when used memory > 'maxmemory'.", 'NOREPLICAS Not enough good replicas to write.', 'LOADING Redis is loading the dataset in memory'].map((message) => new Error(message))
]
const OTHERS = [Object.assign(new Error('Missing lock'), { code: -2 }), Object.assign(new Error('text'), { code: '22P05' }), new TypeError('BigInt')]

t.test('what a store cannot take for now is noted later, and any other error is what it is', async (t) => {
  for (const verb of ['moveToCompleted', 'moveToFailed'] as const) {
    const moving = (thrown?: Error): Promise<unknown> => (retryNoting(stored({
      [verb]: async (...args: unknown[]) => {
        if (thrown !== undefined) throw thrown
        return args
      }
    })) as any)[verb](new Error('as it was'), 'token', true)
    t.match(await moving(), [{ message: 'as it was' }, 'token', true])
    for (const away of AWAY) await t.rejects(moving(away), { code: 'ECONNREFUSED', message: `ECONNREFUSED: ${away.message}`, cause: away })
    for (const other of OTHERS) t.equal(await moving(other).catch((error) => error), other)
  }
})

t.test('a result that could not be noted is not noted as a failure by a worker that closes', async (t) => {
  const noted: unknown[] = []
  const job = retryNoting(stored({
    moveToCompleted: async () => { throw AWAY[0] },
    moveToFailed: async (error: Error) => { noted.push(error.message) }
  }))
  const error = await job.moveToCompleted('result', 'token').catch((error) => error)
  t.equal(await job.moveToFailed(error, 'token').catch((error) => error), error)
  t.same(noted, [])
  await job.moveToFailed(Object.assign(new Error('ECONNREFUSED: of the handler'), { code: 'ECONNREFUSED' }), 'token')
  t.same(noted, ['ECONNREFUSED: of the handler'])
})

t.test('a worker waits before it asks again for a job after an error, which is reported', async (t) => {
  const reported: unknown[] = []
  const answers: unknown[] = [['job'], AWAY[0], OTHERS[2]]
  const backend = {
    moveToActive: async (...args: unknown[]) => {
      const answer = answers.shift()
      if (answer instanceof Error) throw answer
      return [answer, ...args]
    }
  }
  retryTaking(backend as never, (error) => reported.push(error))
  t.same(await backend.moveToActive('token', 'worker'), [['job'], 'token', 'worker'])
  await t.rejects(backend.moveToActive(), { code: 'ECONNREFUSED', cause: AWAY[0] })
  await t.rejects(backend.moveToActive(), { code: 'ECONNREFUSED', cause: OTHERS[2] })
  t.same(reported, [AWAY[0], OTHERS[2]])
})
