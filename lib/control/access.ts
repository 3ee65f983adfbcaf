import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction, onRequestHookHandler } from 'fastify'
import { FST_ERR_TASK_FOREIGN_ORIGIN, FST_ERR_TASK_INVALID_OPTION, FST_ERR_TASK_UNPROTECTED } from '../shared/errors'
import { show } from '../tasks/options'

/** A hook with a callback or an async one: one type for both, so that its parameters need no types of their own. */
type OnRequestHook = (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => unknown

/** What the routes, the feed and the dashboard have in common. */
export interface AccessOptions {
  /** Fastify's own, handed to every plugin that is registered. */
  prefix?: string
  /**
   * The hook, or the hooks in order, that every request passes first: those of `@fastify/auth`, `@fastify/bearer-auth`,
   * `@fastify/basic-auth` and the like, or one's own. `[]` leaves the plugin open to everybody.
   */
  onRequest: OnRequestHook | OnRequestHook[]
  /** Sends the messages of errors too, not their codes alone. Default `false`: messages may tell what is nobody's business. */
  exposeErrors?: boolean
}

// Fastify hands its own options of `register` to the plugin too.
const REGISTER_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

const isFunction = (value: unknown): boolean => typeof value === 'function'

/** What an option may be, besides left out. */
export type Check = [expected: string, accepts: (value: any) => boolean]

export const CHECKS = {
  onRequest: ['a function or a list of functions', (value) => isFunction(value) || isListOf(isFunction, value)],
  exposeErrors: ['a boolean', (value) => typeof value === 'boolean'],
  allowedOrigins: ['a list of origins such as https://example.com', (value) => isListOf(isOrigin, value)]
} satisfies Record<string, Check>

function isListOf (accepts: (value: unknown) => boolean, value: unknown): boolean {
  // Spread, for `every` passes over a hole.
  return Array.isArray(value) && [...value].every(accepts)
}

/** Whether a browser would send it, letter by letter. */
function isOrigin (value: unknown): boolean {
  if (typeof value !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/\s?#@*]+$/.test(value) || !URL.canParse(value)) return false
  const { origin } = new URL(value)
  // So it is for schemes that the URL standard knows nothing of.
  return origin === value || origin === 'null'
}

/**
 * Checks the options of a plugin that the world can reach.
 * @throws FST_ERR_TASK_UNPROTECTED without `onRequest`; FST_ERR_TASK_INVALID_OPTION naming the option that is wrong or unknown
 */
export function checkAccess (plugin: string, options: object, checks: Record<string, Check>): void {
  if ((options as Partial<AccessOptions>).onRequest === undefined) throw new FST_ERR_TASK_UNPROTECTED(plugin)
  for (const [option, value] of Object.entries(options)) {
    if (REGISTER_OPTIONS.includes(option) || value === undefined) continue
    if (!Object.hasOwn(checks, option)) {
      throw new FST_ERR_TASK_INVALID_OPTION(option, `one of ${Object.keys(checks).join(', ')}`, show(value))
    }
    const [expected, accepts] = checks[option]
    if (!accepts(value)) throw new FST_ERR_TASK_INVALID_OPTION(option, expected, show(value))
  }
}

/** Puts the hooks before every route of the instance. */
export function protect (app: FastifyInstance, { onRequest }: AccessOptions): void {
  for (const hook of [onRequest].flat()) app.addHook('onRequest', hook as onRequestHookHandler)
}

/**
 * Refuses what a browser sends on behalf of a foreign page: it would come with the user's own cookies or password.
 * Clients that are no browsers send no `Origin`, and pass.
 */
export function refuseForeignOrigins (app: FastifyInstance, allowedOrigins: string[] = []): void {
  app.addHook('onRequest', async (request) => {
    const { origin } = request.headers
    if (origin === undefined || allowedOrigins.includes(origin)) return
    if (!isOwnOrigin(origin, request)) throw new FST_ERR_TASK_FOREIGN_ORIGIN(origin)
  })
}

function isOwnOrigin (origin: string, { protocol, host }: FastifyRequest): boolean {
  if (!URL.canParse(origin)) return false
  const page = new URL(origin)
  // A page that came by https may meet a server that sees http, behind a proxy it was not told of. Not the other way round.
  if (page.protocol !== 'https:' && page.protocol !== `${protocol}:`) return false
  const own = `${page.protocol}//${host}`
  return URL.canParse(own) && new URL(own).host === page.host
}
