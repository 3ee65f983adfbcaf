import type { FastifyInstance } from 'fastify'
import { controlBackendOf, kJobsControlBackend, kTasksControlBackend, type ControlBackend } from '../shared/control-backend'
import { FST_ERR_TASK_MISSING_JOBS } from '../shared/errors'
import type { Served } from './access'

/**
 * What is to be served, for a plugin that may send the text of errors or may not.
 * @throws FST_ERR_TASK_MISSING_JOBS
 */
export function requireBackend (app: FastifyInstance, serve: Served, exposeErrors: boolean): ControlBackend {
  const backend = controlBackendOf(app, serve === 'tasks' ? kTasksControlBackend : kJobsControlBackend)
  if (backend === undefined) throw new FST_ERR_TASK_MISSING_JOBS()
  if (exposeErrors) backend.exposeErrors?.()
  return backend
}
