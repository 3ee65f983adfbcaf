import swagger from '@fastify/swagger'
import mqemitter from 'mqemitter'
import t from 'tap'
import { kJobsControlBackend } from '../../lib/shared/control-backend'
import tasksRoutes from '../../lib/control/routes'
import { appWithTasks } from '../fixtures/app'

t.test('swagger describes the routes in Swagger 2 too', async (t) => {
  const app = await appWithTasks(t)
  await app.register(swagger, { swagger: { info: { title: 'test', version: '1' } } })
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  const verb = async (): Promise<void> => {}
  app.decorate(kJobsControlBackend, { add: verb, retry: verb, pause: verb, resume: verb })
  await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
  await app.ready()
  const document = JSON.parse(JSON.stringify(app.swagger()))
  t.equal(document.swagger, '2.0')
  const { Validator } = await import('@seriousme/openapi-schema-validator')
  t.match(await new Validator().validate(document), { valid: true })
})

t.test('swagger describes the routes completely', async (t) => {
  const app = await appWithTasks(t)
  await app.register(swagger, { openapi: { info: { title: 'test', version: '1' } } })
  await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
  await app.register(tasksRoutes, { prefix: '/again', onRequest: [] })
  const verb = async (): Promise<void> => {}
  app.decorate(kJobsControlBackend, { add: verb, retry: verb, pause: verb, resume: verb })
  await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
  await app.ready()
  const document = app.swagger()
  const { Validator } = await import('@seriousme/openapi-schema-validator')
  t.match(await new Validator().validate(JSON.parse(JSON.stringify(document))), { valid: true })
  const { paths } = document as { paths: Record<string, Record<string, any>> }
  t.same(Object.keys(paths).filter((path) => path.startsWith('/tasks')), ['/tasks/', '/tasks/cancel', '/tasks/purge', '/tasks/{name}', '/tasks/{name}/heartbeat'])
  const statuses = (path: string, method: string) => Object.keys(paths[path][method].responses)
  const listed = (path: string) => Object.keys(paths[path].get.responses['200'].content['application/json'].schema.properties.tasks.items.properties)
  const ofTasks = ['name', 'group', 'state', 'createdAt', 'startedAt', 'endedAt', 'progress', 'lease', 'reason', 'error', 'process']
  t.same(listed('/tasks/'), ofTasks)
  t.same(listed('/jobs/'), [...ofTasks, 'id', 'kind', 'queue', 'attempts'])
  t.same(statuses('/tasks/', 'get'), ['200', '400'])
  t.same(statuses('/tasks/purge', 'post'), ['200'])
  t.same(statuses('/tasks/{name}', 'get'), ['200', '404'])
  t.same(statuses('/tasks/{name}', 'delete'), ['200', '202', '404', '409'])
  t.same(statuses('/tasks/{name}/heartbeat', 'post'), ['204', '404', '409'])
  t.same(statuses('/jobs/', 'post'), ['202', '400', '409', '503'])
  t.match(paths['/jobs/'].post.responses['202'].headers, { Location: { schema: { type: 'string' }, description: 'Where the job is shown' } })
  t.same(paths['/jobs/'].post.requestBody, {
    required: true,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['kind'],
          additionalProperties: false,
          properties: {
            kind: { type: 'string', minLength: 1, maxLength: 1_000 },
            data: {},
            name: { type: 'string', minLength: 1, maxLength: 1_000 },
            ttl: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 }
          }
        }
      }
    }
  })
  t.same(Object.keys(paths['/tasks/']), ['get'])
  t.same(Object.keys(paths).filter((path) => path.startsWith('/jobs')), [
    '/jobs/', '/jobs/cancel', '/jobs/purge', '/jobs/{name}', '/jobs/{name}/heartbeat', '/jobs/{name}/retry', '/jobs/pause', '/jobs/resume'
  ])
  const answer = (path: string, method: string) => paths[path][method].responses['200'].content['application/json'].schema
  t.match(answer('/tasks/', 'get'), { required: ['tasks'], properties: { tasks: { type: 'array', items: { required: ['name', 'state', 'createdAt'] } } } })
  t.match(answer('/tasks/purge', 'post'), { required: ['purged'], properties: { purged: { type: 'integer' } } })
  const parameters = (path: string) => paths[path].get.parameters.map((parameter: any) => `${parameter.in} ${parameter.name}`)
  t.same(parameters('/tasks/{name}').sort(), ['path name', 'query name', 'query process'])
  t.same(parameters('/tasks/'), ['state', 'limit', 'after', 'group', 'prefix', 'process', 'q', 'name', 'summary'].map((name) => `query ${name}`))
  for (const path of Object.values(paths)) {
    for (const operation of Object.values(path)) {
      t.ok(operation.summary)
      for (const response of Object.values<any>(operation.responses)) t.not(response.description, 'Default Response')
    }
  }
})

t.test('swagger says of what each route is, and what it answers if processes do not', async (t) => {
  const verb = async (): Promise<void> => {}
  for (const options of [{}, { emitter: mqemitter() }]) {
    const app = await appWithTasks(t, options)
    await app.register(swagger, { openapi: { info: { title: 'test', version: '1' } } })
    await app.register(tasksRoutes, { prefix: '/tasks', onRequest: [] })
    app.decorate(kJobsControlBackend, { pause: verb, resume: verb })
    await app.register(tasksRoutes, { prefix: '/jobs', onRequest: [], serve: 'jobs' })
    await app.ready()
    const { paths } = app.swagger() as { paths: Record<string, Record<string, any>> }
    t.same([paths['/tasks/'].get.summary, paths['/jobs/'].get.summary], ['List the tasks', 'List the jobs'])
    t.same([paths['/jobs/pause'].post.summary, paths['/jobs/resume'].post.summary], ['Pause a queue: no process starts jobs of it', 'Resume a paused queue'])
    t.match(paths['/tasks/{name}'].get.responses, { 404: { description: 'The task was not found' } })
    t.match(paths['/jobs/{name}'].get.responses, { 404: { description: 'The job was not found' } })
    t.equal('503' in paths['/tasks/{name}'].get.responses, 'emitter' in options)
    t.notOk('503' in paths['/jobs/{name}'].get.responses)
  }
})
