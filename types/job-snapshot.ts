import type { TaskProgress, TaskState } from './task'

// In a file of its own: routes and feed are without the packages that the types of jobs need.

/** A job as plain JSON: what may be sent to a client or a log. Times are ms since the epoch. */
export interface JobSnapshot {
  id: string
  name: string
  kind: string
  queue: string
  state: TaskState
  createdAt: number
  startedAt?: number
  endedAt?: number
  progress?: TaskProgress
  attempts: number
  lease?: { ttl: number }
  /** The reason of its cancel, if one was given. */
  reason?: { code?: string, message: string }
  /** Why a job failed or was cancelled. */
  error?: { code?: string, message: string, stack?: string }
}
