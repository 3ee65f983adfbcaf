import { isLive } from './snapshot'
import type { Row } from './store'

/** Of the tasks that share a group, or the beginning of their names. */
interface Statistic {
  /** The group or the prefix; `undefined` gathers the tasks that have none. */
  label: string | undefined
  live: number
  ended: number
  failed: number
  /** Of the ended that had started, in ms. */
  median: number | undefined
  p95: number | undefined
}

interface Collected { live: number, ended: number, failed: number, durations: number[] }

/** @returns one for each group or prefix, those with most tasks first */
export function statistics (rows: Iterable<Pick<Row, 'task' | 'prefix'>>, by: 'group' | 'prefix'): Statistic[] {
  const labelled = new Map<string | undefined, Collected>()
  for (const { task, prefix } of rows) {
    const label = by === 'group' ? task.group : prefix
    let collected = labelled.get(label)
    if (collected === undefined) labelled.set(label, collected = { live: 0, ended: 0, failed: 0, durations: [] })
    if (isLive(task)) {
      collected.live++
      continue
    }
    collected.ended++
    if (task.state === 'failed') collected.failed++
    if (task.startedAt !== undefined && task.endedAt !== undefined) collected.durations.push(Math.max(0, task.endedAt - task.startedAt))
  }
  return Array.from(labelled, ([label, { live, ended, failed, durations }]) => {
    durations.sort((a, b) => a - b)
    return { label, live, ended, failed, median: quantile(durations, 0.5), p95: quantile(durations, 0.95) }
  }).sort((a, b) => (b.live + b.ended) - (a.live + a.ended) || (String(a.label) < String(b.label) ? -1 : 1))
}

/** By the nearest rank: always one of the values. */
export function quantile (sorted: number[], q: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)]
}
