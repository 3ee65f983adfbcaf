import { FST_ERR_JOB_CANCELLED, FST_ERR_JOB_EXPIRED, FST_ERR_JOB_FAILED } from '../shared/errors'
import { clip } from '../shared/redaction'
import { deserializeReason, readFailure, serializeReason, startsOf, type Reason, type Stored } from './serialization'

/** How a job has ended. */
export type Outcome =
  { state: 'completed', result: unknown } |
  { state: 'failed' | 'cancelled', error: Error & { code: string } }

/** What is kept of a job that has ended, apart from BullMQ's record of it. Times are ms since the epoch. */
export interface Ended {
  id: string
  name: string
  kind: string
  attempts: number
  createdAt: number
  startedAt?: number
  endedAt: number
  state: 'completed' | 'failed' | 'cancelled'
  result?: unknown
  /** The result was too large to be kept. */
  resultOmitted?: true
  error?: { code: string, message: string }
  /** Why it was cancelled. */
  cause?: Reason
  /** It waited, and was removed. */
  removed?: true
}

/** Of a result or a message no more is kept, in characters. */
const MAX_RESULT = 16_384
const MAX_MESSAGE = 2_000

/** Whether this plugin made the record: others may add jobs to the queue, and change those of ours. */
export function isOurs (job: Stored | undefined): job is Stored {
  const data: unknown = job?.data
  return typeof data === 'object' && data !== null && typeof (data as { name?: unknown }).name === 'string'
}

/** The end of a job that a worker of this process has reported to the store. */
export function endOf (job: Stored, { result, error: thrown }: { result?: unknown, error?: Error }): Ended {
  const ended = { id: job.id!, name: job.data.name, kind: job.name, attempts: startsOf(job), createdAt: job.timestamp, startedAt: job.processedOn, endedAt: job.finishedOn! }
  if (thrown === undefined) return { ...ended, state: 'completed', ...resultOf(result) }
  const { state, error } = readFailure(job)
  // Who cancelled it has left the reason in the record, of which a worker has an older copy.
  const { cause } = 'cause' in thrown ? thrown : error
  return { ...ended, state, error: { code: error.code, message: clip(error.message, MAX_MESSAGE) }, ...state === 'cancelled' && { cause: serializeReason(cause) } }
}

/** The end of a job that waited, and was removed. */
export function removalOf (job: Stored, cause: Reason): Ended {
  const { name } = job.data
  const { code, message } = new FST_ERR_JOB_CANCELLED(name)
  return { id: job.id!, name, kind: job.name, attempts: startsOf(job), createdAt: job.timestamp, startedAt: job.processedOn, endedAt: Date.now(), state: 'cancelled', error: { code, message }, cause, removed: true }
}

/** Whether nobody had started it in time. */
export function hasExpired ({ state, error }: Pick<Ended, 'state' | 'error'>): boolean {
  return state === 'cancelled' && error?.code === 'FST_ERR_JOB_EXPIRED'
}

/** @returns `undefined` if it is not all known: the result was too large to be kept */
export function outcomeOf ({ name, state, result, resultOmitted, error, cause }: Ended): Outcome | undefined {
  if (state === 'completed') return resultOmitted ? undefined : { state, result }
  if (hasExpired({ state, error })) return { state, error: new FST_ERR_JOB_EXPIRED(name) }
  if (state === 'cancelled') return { state, error: new FST_ERR_JOB_CANCELLED(name, { cause: deserializeReason(cause!) }) }
  const { code, message } = error!
  return { state, error: Object.assign(new FST_ERR_JOB_FAILED(message), { code }) }
}

/** What is undefined BullMQ keeps as `null`. */
function resultOf (result: unknown = null): Pick<Ended, 'result' | 'resultOmitted'> {
  const text = JSON.stringify(result) ?? 'null'
  return text.length > MAX_RESULT ? { resultOmitted: true } : { result: JSON.parse(text) }
}
