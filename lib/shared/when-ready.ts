import type { FastifyInstance } from 'fastify'

/**
 * For an `onReady` hook, which runs before those of later plugins: calls back after all `onReady` hooks have passed, and never
 * if one fails. By the root, because a child's `ready()` calls back before the hooks of the children that follow.
 */
export function whenReady (app: FastifyInstance, callback: () => void): void {
  rootOf(app).ready((error) => { if (error === null) callback() })
}

function rootOf (app: FastifyInstance): FastifyInstance {
  const parent = Object.getPrototypeOf(app)
  return 'ready' in parent ? rootOf(parent) : app
}
