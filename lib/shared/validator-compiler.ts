import type { FastifySchemaCompiler } from 'fastify'

/** Fastify's default compiler. Fastify creates it for an app's first route with a schema, so this boots a throwaway app with one. */
export async function defaultValidatorCompiler (sharedSchemas: Record<string, unknown> = {}): Promise<FastifySchemaCompiler<any>> {
  const { fastify } = require('fastify') as typeof import('fastify')
  const throwaway = fastify()
  for (const schema of Object.values(sharedSchemas)) throwaway.addSchema(schema)
  throwaway.post('/', { schema: { body: {} } }, async () => {})
  await throwaway.ready()
  return throwaway.validatorCompiler!
}
