import type { TaskState } from '../../types/task'

/** In the order of a task's life. */
export const STATES: readonly TaskState[] = ['pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled']
export const LIVE_STATES = STATES.slice(0, 3)
/** What happens to a task or a job. */
export const EVENTS = ['start', 'progress', 'end'] as const
