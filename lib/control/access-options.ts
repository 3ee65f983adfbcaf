import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'

// Types alone: what the declarations of the package lead to.

/** A hook with a callback or an async one: one type for both, so that its parameters need no types of their own. */
type OnRequestHook = (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => unknown

export type Served = 'tasks' | 'jobs'

/** What the routes, the feed and the dashboard have in common. */
export interface AccessOptions {
  /** Fastify's own, handed to every plugin that is registered. */
  prefix?: string
  /**
   * The hook, or the hooks in order, that every request passes first: those of `@fastify/auth`, `@fastify/bearer-auth`,
   * `@fastify/basic-auth` and the like, or your own. `[]` leaves the plugin open to everybody.
   */
  onRequest: OnRequestHook | OnRequestHook[]
  /**
   * Sends the messages and stacks of errors, and the text of cancel reasons, in addition to their codes. Default `false`: they may
   * contain sensitive details.
   */
  exposeErrors?: boolean
}
