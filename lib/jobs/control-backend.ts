import type { ControlBackend, Counts } from '../shared/control-backend'
import { processIdentity, processNumbers } from '../shared/process-info'
import { FST_ERR_JOB_CANCEL_TIMEOUT, FST_ERR_JOB_NOT_FOUND, FST_ERR_JOB_NOT_LIVE, FST_ERR_JOB_NO_LEASE } from '../shared/errors'
import { ENDED, LIVE, type JobRegistry } from './registry'
import type { Job } from './job'

/** What the control routes serve with `serve: 'jobs'`. */
export function createJobsBackend (open: () => JobRegistry): ControlBackend {
  async function find (name: string): Promise<Job> {
    const job = await open().get(name)
    if (job === undefined) throw new FST_ERR_JOB_NOT_FOUND(name)
    return job
  }

  async function findLive (name: string): Promise<Job> {
    const job = await find(name)
    if (job.endedAt !== undefined) throw new FST_ERR_JOB_NOT_LIVE(name, job.state)
    return job
  }

  return {
    async list ({ states }) {
      const tasks = []
      for await (const job of open().list([...LIVE, ...ENDED])) {
        if (states === undefined || states.includes(job.state)) tasks.push(job.toJSON())
      }
      return { tasks }
    },
    async summary () {
      const counts: Counts = { pending: 0, running: 0, cancelling: 0, completed: 0, failed: 0, cancelled: 0 }
      for await (const { state } of open().list([...LIVE, ...ENDED])) counts[state]++
      return { counts, groups: [], process: processNumbers(processIdentity()) }
    },
    get: async (name) => (await find(name)).toJSON(),
    async cancel (name) {
      const job = await findLive(name)
      let stopped = true
      try {
        stopped = await open().cancel(name)
      } catch (error) {
        if (!(error instanceof FST_ERR_JOB_CANCEL_TIMEOUT)) throw error
      }
      const now = await open().get(name)
      if (!stopped) throw new FST_ERR_JOB_NOT_LIVE(name, now?.state ?? 'completed')
      // A job that was waiting is removed, and its name may have been taken again.
      return now?.createdAt === job.createdAt ? now.toJSON() : { ...job.toJSON(), state: 'cancelled', endedAt: Date.now() }
    },
    async heartbeat (name) {
      const job = await findLive(name)
      if (!await job.heartbeat()) throw new FST_ERR_JOB_NOT_LIVE(name, job.state)
      if (job.toJSON().lease === undefined) throw new FST_ERR_JOB_NO_LEASE(name)
    },
    async cancelAll () { return { cancelled: 0, remaining: [] } },
    purge: async () => ({ purged: await open().purge() }),
    async * live () {},
    subscribe: () => () => {},
    add: async (kind, data, options) => (await open().add(kind, data, options)).toJSON()
  }
}
