import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

/** As text, so that a `preSerialization` hook of the app's, which may wrap what its own routes return, leaves it alone. */
export function send (reply: FastifyReply, body: object, status = 200): FastifyReply {
  return reply.code(status).type('application/json; charset=utf-8').send(JSON.stringify(body))
}

/** Serializes errors as Fastify does: the schemas describe them, but an app's own error handler may send another body. */
export function serialize (body: unknown): string {
  if (!(body instanceof Error)) return JSON.stringify(body)
  const { statusCode, code, error, message, missing } = body as FastifyError & { error: string, missing?: string[] }
  return JSON.stringify({ statusCode, code, error, message, missing })
}

/** Few routes need a body, so an empty body of type JSON counts as none. */
export function acceptEmptyBodies (app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null)
    else parseJson(request, body, done)
  })
}

/** For routes whose handlers check the body: the schemas describe it. */
export const describedOnly = { validatorCompiler: () => () => true }
