import type { FastifySchemaCompiler } from 'fastify'

/**
 * The compiler of an app that has set none of its own. Fastify makes it for an app's first route with a schema, so it is
 * borrowed from an app with one.
 */
export async function defaultValidatorCompiler (sharedSchemas: Record<string, unknown> = {}): Promise<FastifySchemaCompiler<any>> {
  const { fastify } = require('fastify') as typeof import('fastify')
  const lender = fastify()
  for (const schema of Object.values(sharedSchemas)) lender.addSchema(schema)
  lender.post('/', { schema: { body: {} } }, async () => {})
  await lender.ready()
  return lender.validatorCompiler!
}
