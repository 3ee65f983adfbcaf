/** The error that tells BullMQ that the job is in its queue again. */
export function released (): Error {
  return Object.assign(new Error('released'), { name: 'DelayedError' })
}

/** What the store does not take, or what is another's by now, is left as it is: it is started again when its lock has expired. */
export function orReleased<T> (change: Promise<T>): Promise<T> {
  return change.catch(() => { throw released() })
}
