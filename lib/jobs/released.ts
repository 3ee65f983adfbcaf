import type { Stored } from './serialization'

/** The error that tells BullMQ that the job is in its queue again. */
export function released (): Error {
  return Object.assign(new Error('released'), { name: 'DelayedError' })
}

/** What the store does not take, or what is another's by now, is left as it is: it is started again when its lock has expired. */
export function orReleased<T> (change: Promise<T>): Promise<T> {
  return change.catch(() => { throw released() })
}

/** BullMQ counts each time that a process takes the job. */
export async function discountStart (job: Stored): Promise<void> {
  const { data } = job
  if (typeof data === 'object' && data !== null) await job.updateData({ ...data, misrouted: (data.misrouted ?? 0) + 1 })
}
