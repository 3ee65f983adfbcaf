import t from 'tap'
import { contains, kJobsControlBackend, kTasksControlBackend } from '../../lib/shared/control-backend'

t.test('several copies of the package in a process share their decorators', async (t) => {
  t.equal(kTasksControlBackend, Symbol.for('fastify-tasks.tasks-control-backend'))
  t.equal(kJobsControlBackend, Symbol.for('fastify-tasks.jobs-control-backend'))
})

t.test('a name is searched in upper or lower case', async (t) => {
  t.ok(contains('Report:1', 'PORT'))
  t.notOk(contains('Report:1', 'PORTS'))
})
