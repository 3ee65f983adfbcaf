import Fastify from 'fastify'
import t from 'tap'
import { validatorFor } from '../../lib/jobs/validator'

t.test('data is checked as the body of a request would be, with the app\'s shared schemas', async (t) => {
  const app = Fastify()
  app.addSchema({ $id: 'id', type: 'integer' })
  const schema = { type: 'object', required: ['id'], properties: { id: { $ref: 'id#' }, size: { default: 3 } } }
  const validate = await validatorFor(app, 'kind', schema)
  const data = { id: '5' }
  validate(data)
  t.strictSame(data, { id: 5, size: 3 })
  t.throws(() => validate({ id: 'five' }), {
    code: 'FST_ERR_JOB_INVALID_DATA', message: /^Data of a job of kind 'kind' fails its schema: \/id must be integer$/
  })
  t.throws(() => validate({}), { message: /fails its schema: must have required property 'id'$/ })
})

t.test('the compiler that an app has set is asked as for a body, whichever way it answers', async (t) => {
  const app = Fastify()
  let verdict: unknown
  const asked: unknown[] = []
  app.setValidatorCompiler((route) => {
    asked.push(route)
    return (() => verdict) as never
  })
  const schema = { type: 'string' }
  const validate = await validatorFor(app, 'kind', schema)
  t.same(asked, [{ schema, method: 'POST', url: '', httpPart: 'body' }])
  for (verdict of [true, undefined, {}, { value: 1 }]) t.doesNotThrow(() => validate('data'))
  verdict = { error: new Error('not good') }
  t.throws(() => validate('data'), { code: 'FST_ERR_JOB_INVALID_DATA', message: /fails its schema: not good$/ })
  for (verdict of [false, null, 0]) t.throws(() => validate('data'), { code: 'FST_ERR_JOB_INVALID_DATA', message: /fails its schema: $/ })
})

t.test('a schema that does not compile is a wrong option of its kind', async (t) => {
  await t.rejects(validatorFor(Fastify(), 'thumbnail', { type: 'thing' }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: /^Option 'schema' must be a schema that the app's validator compiles \(of kind 'thumbnail'\), got Error: / })
})

t.test('every problem that the compiled schema tells is told', async (t) => {
  const app = Fastify()
  app.setValidatorCompiler(() => Object.assign(() => false, {
    errors: [{ instancePath: '/a', message: 'is wrong' }, { instancePath: '', message: 'is short' }]
  }) as never)
  const validate = await validatorFor(app, 'kind', {})
  t.throws(() => validate('data'), { message: /: \/a is wrong, is short$/ })
})
