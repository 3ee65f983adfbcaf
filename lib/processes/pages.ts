import type { Page, Snapshot } from '../shared/control-backend'
import { FST_ERR_TASK_INVALID_CURSOR } from '../shared/errors'
import type { ProcessIdentity } from '../../types/process'
import { readSnapshot } from './snapshots'

/** Where a walk stands in each of its processes, by id: behind which cursor, or, if it is empty, at the newest. */
export type Positions = Record<string, string>

/** A page of one process. */
export interface PartPage {
  id: string
  tasks: Snapshot[]
  cursors: string[]
  next?: string
}

/** @throws FST_ERR_TASK_INVALID_CURSOR */
export function readPositions (cursor: string): Positions {
  try {
    const positions = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as Positions
    if (typeof positions === 'object' && Object.entries(positions).flat().every((part) => typeof part === 'string')) return positions
  } catch {} // Anything may stand in a URL.
  throw new FST_ERR_TASK_INVALID_CURSOR()
}

export function writePositions (positions: Positions): string {
  return Buffer.from(JSON.stringify(positions)).toString('base64url')
}

/** What another process has sent as its page. */
export function readPage (value: unknown, process: ProcessIdentity): PartPage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { tasks, cursors, next } = value as Partial<Record<keyof Page, unknown>>
  if (!Array.isArray(tasks) || !Array.isArray(cursors) || (next !== undefined && typeof next !== 'string')) return undefined
  const page: PartPage = { id: process.id, tasks: [], cursors: [], next }
  tasks.forEach((task, index) => {
    const snapshot = readSnapshot(task, process)
    if (snapshot === undefined || typeof cursors[index] !== 'string') return
    page.tasks.push(snapshot)
    page.cursors.push(cursors[index])
  })
  return page
}

/**
 * Merges pages, each with the newest task first, into one. Ends where the page of a process that has another page is used up: the
 * next task there may be newer than those of the others.
 * @param positions where the walk stood; afterwards, where it stands
 */
export function mergePages (parts: PartPage[], limit: number, positions: Positions): Page {
  const tasks: Snapshot[] = []
  const heads = parts.map((part) => ({ part, taken: 0 }))
  while (tasks.length < limit && !heads.some(({ part, taken }) => taken === part.tasks.length && part.next !== undefined)) {
    const open = heads.filter(({ part, taken }) => taken < part.tasks.length)
    if (open.length === 0) break
    const newest = open.reduce((best, head) => isNewer(head, best) ? head : best)
    tasks.push(newest.part.tasks[newest.taken++])
  }
  let more = false
  for (const { part, taken } of heads) {
    const rest = taken < part.tasks.length
    if (rest && taken > 0) positions[part.id] = part.cursors[taken - 1]
    else if (!rest && part.next !== undefined) positions[part.id] = part.next
    else if (!rest) delete positions[part.id]
    more ||= rest || part.next !== undefined
  }
  return { tasks, next: more ? writePositions(positions) : undefined }
}

interface Head { part: PartPage, taken: number }

function isNewer (one: Head, other: Head): boolean {
  const a = one.part.tasks[one.taken]
  const b = other.part.tasks[other.taken]
  return a.createdAt > b.createdAt || (a.createdAt === b.createdAt && one.part.id < other.part.id)
}
