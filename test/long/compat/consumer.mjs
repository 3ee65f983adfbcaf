import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import tasks, { errors, fastifyTasks } from 'fastify-tasks'
import routes from 'fastify-tasks/routes'
import consume from './consumer.cjs'

const require = createRequire(import.meta.url)

assert.equal(tasks, fastifyTasks)
assert.equal(tasks, require('fastify-tasks'), 'one copy for both kinds of module')
assert.equal(routes, require('fastify-tasks/routes'))
assert.equal(new errors.FST_ERR_TASKS_CLOSED().statusCode, 503)
await consume()
