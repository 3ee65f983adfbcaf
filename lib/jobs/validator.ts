import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { Kind } from './runner'

/** The function that checks a kind's data, compiled as the schema of a request's body would be. */
export async function validatorFor (app: FastifyInstance, schema: object | undefined): Promise<Kind['validate']> {
  if (schema === undefined) return undefined
  const compile = app.validatorCompiler ?? await defaultCompiler(app)
  return compile({ schema, method: 'POST', url: '', httpPart: 'body' })
}

/** Fastify makes an app's compiler for its first route with a schema. An app without one borrows that of an app with one. */
async function defaultCompiler (app: FastifyInstance): Promise<FastifySchemaCompiler<any>> {
  const { fastify } = require('fastify') as typeof import('fastify')
  const other = fastify()
  for (const shared of Object.values(app.getSchemas())) other.addSchema(shared)
  other.post('/', { schema: { body: {} } }, async () => {})
  await other.ready()
  return other.validatorCompiler!
}
