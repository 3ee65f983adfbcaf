import type { FastifyInstance } from 'fastify'
import { FST_ERR_JOB_INVALID_DATA, FST_ERR_JOB_INVALID_OPTION } from '../shared/errors'
import { defaultValidatorCompiler } from '../shared/validator-compiler'

/**
 * The function that checks a kind's data, compiled as the schema of a request's body would be. What it fills in or converts is
 * kept, as for a body. It throws FST_ERR_JOB_INVALID_DATA.
 */
export async function validatorFor (app: FastifyInstance, kind: string, schema: object): Promise<(data: unknown) => void> {
  const compile = app.validatorCompiler ?? await defaultValidatorCompiler(app.getSchemas())
  const validate = compiled(() => compile({ schema, method: 'POST', url: '', httpPart: 'body' }), kind)
  return (data) => {
    const verdict: any = validate(data)
    if (verdict === true || verdict === undefined || (typeof verdict === 'object' && verdict !== null && !verdict.error)) return
    const problems = (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`.trim())
    throw new FST_ERR_JOB_INVALID_DATA(kind, `fails its schema: ${verdict?.error?.message ?? problems.join(', ')}`)
  }
}

function compiled<T> (compile: () => T, kind: string): T {
  try {
    return compile()
  } catch (error) {
    throw new FST_ERR_JOB_INVALID_OPTION('schema', `a schema that the app's validator compiles (of kind '${kind}')`, String(error))
  }
}
