import { timers } from '../shared/timers'

/** Resolves after so many ms. With `ref: false` it does not keep the process. */
export function sleep<T> (ms: number, value?: T, { ref = true } = {}): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer: { unref?: () => unknown } = timers.setTimeout(resolve, ms, value)
    if (!ref) timer.unref?.()
  })
}
