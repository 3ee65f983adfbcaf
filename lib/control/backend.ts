import type { FastifyInstance } from 'fastify'
import { controlBackendOf, kJobsControlBackend, kTasksControlBackend, type ControlBackend } from '../shared/control-backend'
import { FST_ERR_JOB_NOT_FOUND, FST_ERR_TASK_MISSING_JOBS, FST_ERR_TASK_NOT_FOUND } from '../shared/errors'
import type { Served } from './access-options'

/**
 * What is to be served, for a plugin that may send the text of errors or may not.
 * @throws FST_ERR_TASK_MISSING_JOBS
 */
export function requireBackend (app: FastifyInstance, serve: Served, exposeErrors: boolean): ControlBackend {
  const backend = controlBackendOf(app, serve === 'tasks' ? kTasksControlBackend : kJobsControlBackend)
  if (backend === undefined) throw new FST_ERR_TASK_MISSING_JOBS()
  if (exposeErrors) backend.exposeErrors?.()
  return backend.spansProcesses === true ? backend : narrowedToProcess(backend)
}

/**
 * Gives `process` the meaning that it has where several are served: what is asked of another process than the backend's own
 * concerns none of its tasks. Jobs are of no process.
 */
function narrowedToProcess (backend: ControlBackend): ControlBackend {
  const isMeant = (process: string | undefined): boolean => process === undefined || process === backend.processId
  const find = <T>(name: string, process: string | undefined, act: () => T): T => {
    if (isMeant(process)) return act()
    throw backend.processId === undefined ? new FST_ERR_JOB_NOT_FOUND(name) : new FST_ERR_TASK_NOT_FOUND(name)
  }
  return {
    processId: backend.processId,
    list: ({ process, ...query }) => isMeant(process) ? backend.list(query) : { tasks: [], missing: [process!] },
    summary: () => backend.summary(),
    get: (name, process) => find(name, process, () => backend.get(name)),
    cancel: async (name, process) => await find(name, process, () => backend.cancel(name)),
    cancelAll: async ({ process, ...filter }, reason) =>
      isMeant(process) ? await backend.cancelAll(filter, reason) : { cancelled: 0, remaining: [], missing: [process!] },
    heartbeat: (name, process) => find(name, process, () => backend.heartbeat(name)),
    purge: (process) => isMeant(process) ? backend.purge() : { purged: 0, missing: [process!] },
    live: ({ process, ...filter }) => isMeant(process) ? backend.live(filter) : [],
    subscribe: (listener, onGone) => backend.subscribe(listener, onGone),
    add: backend.add,
    retry: backend.retry,
    pause: backend.pause,
    resume: backend.resume
  }
}
