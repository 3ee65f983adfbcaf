import { MAX_GROUPS, STATES, type Cancelled, type Counts, type Summary } from '../shared/control-backend'
import type { ProcessNumbers } from '../shared/process-info'
import type { ProcessIdentity } from '../../types/process'
import { FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../shared/errors'
import { clip } from '../shared/redaction'

/* What other processes answer is read here: what does not hold what it should is `undefined`. */

type Unknown<T> = Partial<Record<keyof T, unknown>>

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && value as number >= 0

function partsOf<T> (value: unknown): Unknown<T> {
  return typeof value === 'object' && value !== null ? value as Unknown<T> : {}
}

function readCounts (value: unknown): Counts | undefined {
  const counts = partsOf<Counts>(value)
  if (!STATES.every((state) => isCount(counts[state]))) return undefined
  return Object.fromEntries(STATES.map((state) => [state, counts[state]])) as Counts
}

export function readSummary (value: unknown, { id, pid, hostname }: ProcessIdentity): Summary | undefined {
  const parts = partsOf<Summary>(value)
  const counts = readCounts(parts.counts)
  if (counts === undefined || !Array.isArray(parts.groups)) return undefined
  const groups: Summary['groups'] = []
  for (const item of parts.groups) {
    const { group, counts } = partsOf<Summary['groups'][number]>(item)
    const read = readCounts(counts)
    if (typeof group === 'string' && read !== undefined) groups.push({ group, counts: read })
  }
  const { uptime, heapUsed, eventLoopDelay } = partsOf<ProcessNumbers>(parts.process)
  const numbers = [uptime, heapUsed, eventLoopDelay].map((number) => typeof number === 'number' ? number : 0)
  return { counts, groups, process: { id, pid, hostname, uptime: numbers[0], heapUsed: numbers[1], eventLoopDelay: numbers[2] } }
}

export function readCancelled (value: unknown): Cancelled | undefined {
  const { cancelled, remaining } = partsOf<Cancelled>(value)
  if (!isCount(cancelled) || !Array.isArray(remaining)) return undefined
  return { cancelled, remaining: remaining.filter((name) => typeof name === 'string') }
}

export function readPurged (value: unknown): number | undefined {
  const { purged } = partsOf<{ purged: number }>(value)
  return isCount(purged) ? purged : undefined
}

/** The refusal of another process, as an error of this one with the other's message. */
export function readRefusal (value: unknown, name: string): Error {
  const [code, message] = Array.isArray(value) ? value as unknown[] : []
  const error = code === 'FST_ERR_TASK_NO_LEASE' ? new FST_ERR_TASK_NO_LEASE(name) : new FST_ERR_TASK_NOT_LIVE(name, 'it has ended')
  if (typeof message === 'string') error.message = clip(message, 1_000)
  return error
}

/** The sum of several summaries, with the groups of most live tasks first. */
export function mergeSummaries (summaries: Summary[]): Pick<Summary, 'counts' | 'groups' | 'processes'> {
  const groups = new Map<string, Counts>()
  for (const { group, counts } of summaries.flatMap((summary) => summary.groups)) {
    groups.set(group, add(groups.get(group), counts))
  }
  return {
    counts: summaries.map(({ counts }) => counts).reduce(add),
    groups: Array.from(groups, ([group, counts]) => ({ group, counts })).sort((one, other) => liveOf(other.counts) - liveOf(one.counts)).slice(0, MAX_GROUPS),
    processes: summaries.map(({ process }) => process)
  }
}

function liveOf ({ pending, running, cancelling }: Counts): number {
  return pending + running + cancelling
}

function add (one: Counts | undefined, other: Counts): Counts {
  return Object.fromEntries(STATES.map((state) => [state, (one?.[state] ?? 0) + other[state]])) as Counts
}
