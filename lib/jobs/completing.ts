import type { Queue } from './engine'
import type { Stored } from './serialization'

/** What PostgreSQL says when the server goes, starts, takes no writes, or has no room or connection left. */
const AWAY = /^(08|25006|40|53|55|57|58)/
/** What Redis says of the same, and what a client says of a lost connection. */
const REFUSED = /\b(READONLY|NOREPLICAS|OOM|MISCONF|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY)\b/
const LOST = /terminated|timeout|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN/

/** Those that were made for BullMQ: none is a handler's own. */
const made = new WeakSet<Error>()

/**
 * BullMQ takes an error of the store while it notes a result for the failure of the job, and forgets a failure that it could not
 * note, unless the connection was refused: then it tries again. All errors of a store that takes nothing for now are made such ones:
 * work that is done must not be reported as failed, nor be done again for that.
 */
export function retryNoting (job: Stored): Stored {
  const { moveToCompleted, moveToFailed } = job
  job.moveToCompleted = (...args) => moveToCompleted.apply(job, args).catch((error) => { throw isAway(error) ? refusal(error) : error })
  job.moveToFailed = async (error, ...args) => {
    // The worker closes, and will not try again to note the result. It is no failure for that.
    if (made.has(error)) throw error
    return moveToFailed.call(job, error, ...args).catch((cause) => { throw isAway(cause) ? refusal(cause) : cause })
  }
  return job
}

/**
 * A worker that gets an error when it asks for a job asks again at once, as often as the store can answer. Made one of a connection
 * that was refused, it waits for a while; BullMQ does not report it then.
 */
export function retryTaking (backend: ReturnType<Queue['getBackend']>, report: (error: Error) => void): void {
  const { moveToActive } = backend
  backend.moveToActive = (...args) => moveToActive.apply(backend, args).catch((error) => {
    report(error)
    throw refusal(error)
  })
}

function isAway ({ code, message }: Error & { code?: unknown }): boolean {
  // BullMQ numbers its own answers, such as that the job is another's by now.
  return typeof code !== 'number' && (AWAY.test(String(code)) || REFUSED.test(message) || LOST.test(`${String(code)} ${message}`))
}

function refusal (cause: Error): Error {
  const error = Object.assign(new Error(`ECONNREFUSED: ${cause.message}`, { cause }), { code: 'ECONNREFUSED' })
  made.add(error)
  return error
}
