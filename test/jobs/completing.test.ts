import t from 'tap'
import { retryCompleting } from '../../lib/jobs/completing'
import { stored } from '../fixtures/engine'

t.test('a result that a store cannot take for now is noted later, and any other error is what it is', async (t) => {
  const moving = (thrown?: Error): Promise<unknown> => retryCompleting(stored({
    moveToCompleted: async (...args: unknown[]) => {
      if (thrown !== undefined) throw thrown
      return args
    }
  })).moveToCompleted('result', 'token', true)
  t.same(await moving(), ['result', 'token', true])
  for (const away of [
    Object.assign(new Error('the database system is starting up'), { code: '57P03' }),
    Object.assign(new Error('sorry, too many clients already'), { code: '53300' }),
    new Error('Connection terminated unexpectedly'), Object.assign(new Error('read'), { code: 'ECONNRESET' })
  ]) await t.rejects(moving(away), { code: 'ECONNREFUSED', message: `ECONNREFUSED: ${away.message}`, cause: away })
  for (const other of [Object.assign(new Error('Missing lock'), { code: -2 }), Object.assign(new Error('text'), { code: '22P05' }), new TypeError('BigInt')]) {
    t.equal(await moving(other).catch((error) => error), other)
  }
})
