import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import type { ProcessIdentity } from '../../types/process'

/** Figures of a process: `uptime` and `eventLoopDelay` in ms, `heapUsed` in bytes. */
export interface ProcessNumbers extends ProcessIdentity {
  uptime: number
  heapUsed: number
  /** The 99th percentile of the last seconds. 0 at the first request, which starts the measurement. */
  eventLoopDelay: number
}

/** What `fastify-tasks` decorates the app with: its {@link ProcessIdentity}, the same for tasks and jobs. */
export const kProcessIdentity = Symbol.for('fastify-tasks.process-identity')

export function processIdentityOf (app: FastifyInstance): ProcessIdentity {
  return (app as unknown as Record<symbol, ProcessIdentity>)[kProcessIdentity]
}

export function processIdentity (): ProcessIdentity {
  return { id: randomUUID(), pid: process.pid, hostname: hostname() }
}

const RESOLUTION = 20
// The length of a measurement, in ms: older stalls no longer count.
const WINDOW = 10_000
// The measurement ends when nobody has asked for so long, in ms.
const IDLE_TIMEOUT = 60_000

let histogram: IntervalHistogram | undefined
let since = 0
let idle: NodeJS.Timeout | undefined

/** Measures only while somebody asks: an idle process is not woken up by a timer. */
function eventLoopDelay (): number {
  idle?.refresh()
  if (histogram === undefined) {
    histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
    histogram.enable()
    since = performance.now()
    idle = setTimeout(stop, IDLE_TIMEOUT).unref()
    return 0
  }
  // The histogram counts the time between two ticks of its timer.
  const delay = Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION)
  if (performance.now() - since > WINDOW) {
    histogram.reset()
    since = performance.now()
  }
  return Math.round(delay * 10) / 10
}

function stop (): void {
  histogram!.disable()
  histogram = undefined
  idle = undefined
}

export function processNumbers (identity: ProcessIdentity): ProcessNumbers {
  return {
    ...identity,
    uptime: Math.round(process.uptime() * 1000),
    heapUsed: process.memoryUsage().heapUsed,
    eventLoopDelay: eventLoopDelay()
  }
}
