// What a task keeps of its state: the index in STATES.
export const PENDING = 0
export const RUNNING = 1
export const CANCELLING = 2
export const COMPLETED = 3
export const FAILED = 4
export const CANCELLED = 5

// Flags, kept in one number with the state: a field costs 8 bytes in every task.
/** The bits of the state. */
export const STATE = 7
/** The caller chose the name; a task without one is removed when it ends. */
export const NAMED = 8
/** `onClose: 'wait'`. */
export const WAITS = 16
/** It was told to stop: its signal has aborted. */
export const TOLD = 32
export const TIMED_OUT = 64
/** Whoever told it to stop gave a reason. */
export const HAS_REASON = 128
/** When the app closes, the jobs plugin stops it. */
export const STOPPED_BY_JOBS = 256
