import type { TaskSnapshot, TaskState } from '../../../../../types/task'

export type State = TaskState

/** Which process a task runs in, as the routes tell it. */
export interface ProcessRef { id: string, pid: number, hostname: string }

/** What the page knows of a task or a job: what the routes and the feed send. Not all servers send all of it. */
export interface Snapshot extends Omit<TaskSnapshot, 'error' | 'reason'> {
  group?: string
  process?: ProcessRef
  reason?: { code?: string, message?: string }
  error?: { code?: string, message?: string, stack?: string }
  // Of jobs alone.
  kind?: string
  attempts?: number
  queue?: string
}

export const STATES: State[] = ['pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled']

export type Counts = Record<State, number>

export const noCounts = (): Counts => ({ pending: 0, running: 0, cancelling: 0, completed: 0, failed: 0, cancelled: 0 })

export const isLive = ({ state }: { state: State }): boolean => state === 'pending' || state === 'running' || state === 'cancelling'

/** The states that a filter means; none for all. */
export function statesOf (filter: '' | 'live' | 'ended' | State): State[] | undefined {
  if (filter === '') return undefined
  if (filter !== 'live' && filter !== 'ended') return [filter]
  return STATES.filter((state) => isLive({ state }) === (filter === 'live'))
}

/** The live states among those that a filter means. */
export const liveStatesOf = (filter: Parameters<typeof statesOf>[0]): State[] => (statesOf(filter) ?? STATES).filter((state) => isLive({ state }))

export const liveOf = ({ pending, running, cancelling }: Counts): number => pending + running + cancelling

export const endedOf = ({ completed, failed, cancelled }: Counts): number => completed + failed + cancelled

/** A name is unique among the live tasks of one process. */
export const keyOf = ({ name, process }: Pick<Snapshot, 'name' | 'process'>): string => process === undefined ? name : `${process.id} ${name}`

/** Whether it is what the page can show: an app may have wrapped or changed the replies. */
export function isSnapshot (value: unknown): value is Snapshot {
  if (typeof value !== 'object' || value === null) return false
  const { name, state, createdAt } = value as Snapshot
  return typeof name === 'string' && STATES.includes(state) && typeof createdAt === 'number'
}
