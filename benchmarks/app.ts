import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyTasks, { type FastifyTasksOptions } from '../index'

/** An app that is ready and starts tasks at once. */
export async function readyApp (options: FastifyTasksOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(fastifyTasks, options)
  await app.ready()
  await nextTurn()
  return app
}

/** Resolves when the condition holds, asked once a turn. */
export async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}
