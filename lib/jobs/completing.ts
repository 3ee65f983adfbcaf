import type { Stored } from './serialization'

/** What PostgreSQL, or `pg`, says when the server goes, starts, or has no connection left. */
const AWAY = /^(08|53|57)/
const LOST = /terminated|timeout|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN/

/**
 * BullMQ takes an error of the store while it notes a result for the failure of the job, unless the connection was refused: then it
 * tries again. All errors of a store that is away are made such ones: work that is done must not be told as failed.
 */
export function retryCompleting (job: Stored): Stored {
  const moveToCompleted = job.moveToCompleted.bind(job)
  job.moveToCompleted = async (...args) => {
    try {
      return await moveToCompleted(...args)
    } catch (error) {
      const { code, message } = error as { code?: unknown, message: string }
      if (typeof code === 'number' || !(AWAY.test(String(code)) || LOST.test(`${String(code)} ${message}`))) throw error
      throw Object.assign(new Error(`ECONNREFUSED: ${message}`, { cause: error }), { code: 'ECONNREFUSED' })
    }
  }
  return job
}
