import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import { FST_ERR_TASK_ORIGIN_NOT_ALLOWED, FST_ERR_TASK_INVALID_OPTION, FST_ERR_TASK_UNPROTECTED } from '../shared/errors'
import { boolean, checkRegistration, type OptionChecks } from '../shared/option-checks'
import type { AccessOptions } from './access-options'

const isFunction = (value: unknown): boolean => typeof value === 'function'

export const ACCESS_OPTIONS = {
  onRequest: ['a function or a list of functions', (value) => isFunction(value) || isListOf(isFunction, value)],
  exposeErrors: boolean,
  allowedOrigins: ['a list of origins such as https://example.com', (value) => isListOf(isOrigin, value)]
} satisfies OptionChecks

function isListOf (accepts: (value: unknown) => boolean, value: unknown): boolean {
  // Spread: `every` skips holes in sparse arrays.
  return Array.isArray(value) && [...value].every(accepts)
}

/** Whether it is exactly a serialized origin, as browsers send. */
function isOrigin (value: unknown): boolean {
  if (typeof value !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/\s?#@*]+$/.test(value) || !URL.canParse(value)) return false
  const { origin } = new URL(value)
  // For schemes that the URL standard does not know it is 'null'.
  return origin === value || origin === 'null'
}

/**
 * Checks the options of a plugin that is reachable over the network.
 * @throws FST_ERR_TASK_UNPROTECTED without `onRequest`; FST_ERR_TASK_INVALID_OPTION naming the option whose value is wrong
 */
export function checkAccess (app: FastifyInstance, plugin: string, options: AccessOptions, checks: OptionChecks): void {
  if ((options as Partial<AccessOptions>).onRequest === undefined) throw new FST_ERR_TASK_UNPROTECTED(plugin)
  checkRegistration(app.log, plugin, options, checks, FST_ERR_TASK_INVALID_OPTION)
}

/** Puts the hooks before every route of the instance. */
export function addAuthHooks (app: FastifyInstance, { onRequest }: AccessOptions): void {
  for (const hook of [onRequest].flat()) app.addHook('onRequest', hook as onRequestHookHandler)
}

/**
 * Refuses what a browser sends on behalf of a page of another origin: it would come with the user's own cookies or password.
 * Clients other than browsers send no `Origin`, and pass.
 */
export function rejectCrossOrigin (app: FastifyInstance, allowedOrigins: string[] = []): void {
  app.addHook('onRequest', async (request) => {
    const { origin } = request.headers
    if (origin === undefined || allowedOrigins.includes(origin)) return
    if (isSameOrigin(origin, request)) return
    throw new FST_ERR_TASK_ORIGIN_NOT_ALLOWED(origin, `${request.protocol}://${request.host}`)
  })
}

function isSameOrigin (origin: string, { protocol, host }: FastifyRequest): boolean {
  if (!URL.canParse(origin)) return false
  const page = new URL(origin)
  // Behind a TLS-terminating proxy without `trustProxy`, an https page reaches a server that sees http. The reverse is not allowed.
  if (page.protocol !== 'https:' && page.protocol !== `${protocol}:`) return false
  const own = `${page.protocol}//${host}`
  return URL.canParse(own) && new URL(own).host === page.host
}
