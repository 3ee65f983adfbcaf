import { performance } from 'node:perf_hooks'
import nodeTimers from 'node:timers'

/**
 * The timers of Node, taken when this file is loaded: a test that fakes timers fakes its own, and tasks still start, end, expire
 * and close. The dates of a task are those of `Date`, which a test may fake.
 */
export const timers = {
  setImmediate: nodeTimers.setImmediate as <T>(callback: (argument: T) => void, argument: T) => NodeJS.Immediate,
  setTimeout: nodeTimers.setTimeout as <T>(callback: (argument: T) => void, ms: number, argument: T) => NodeJS.Timeout,
  clearTimeout: nodeTimers.clearTimeout,
  setInterval: nodeTimers.setInterval as (callback: () => void, ms: number) => NodeJS.Timeout,
  clearInterval: nodeTimers.clearInterval,
  /** Monotonic, in ms. */
  now: performance.now.bind(performance)
}
