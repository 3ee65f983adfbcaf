import t from 'tap'
import { PostgresConnection } from '../../lib/jobs/postgres'
import { fakeLog } from '../fixtures/log'

/** A connection on a pool of the caller's that has no server. */
function connectionOf (fails: Error) {
  const released: unknown[] = []
  const client = { on: () => {}, off: () => {}, release: (error?: Error) => { released.push(error) } }
  const pool = { options: { max: 10 }, on: () => {}, off: () => {}, connect: async () => client }
  const engine = {
    DEFAULT_SCHEMA: 'bullmq',
    isPgPool: () => true,
    assertSchemaCompatibility: async () => { throw fails }
  }
  const connection = new PostgresConnection(engine as never, pool as never, {
    log: fakeLog().log, onProblem: () => {}, onLost: () => {}, isClosing: () => false
  })
  return { connection, released }
}

t.test('what a later attempt may change keeps the connection from opening as it is, and the client is given back', async (t) => {
  const denied = new Error('the database system is starting up')
  const { connection, released } = connectionOf(denied)
  t.equal(await connection.open(1, 1).catch((error) => error), denied)
  t.same(released, [undefined])
})

t.test('tables that no attempt will change are a store that cannot be used', async (t) => {
  const { connection } = connectionOf(Object.assign(new Error('too new'), { name: 'SchemaVersionMismatchError' }))
  await t.rejects(connection.open(1, 1), { code: 'FST_ERR_JOB_INVALID_STORE', name: 'SchemaVersionMismatchError', message: /too new/ })
})
