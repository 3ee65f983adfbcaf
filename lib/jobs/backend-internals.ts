import type { Queue } from './engine'

/** What the backend of a queue has besides its interface. Keys and rows are where BullMQ's own scripts and functions have them. */
interface BackendInternals {
  /** The pool of PostgreSQL; `undefined` on Redis. */
  connection: { pool?: { query: (text: string, values: unknown[]) => Promise<{ rowCount: number, rows: any[] }> } }
  client: Promise<{
    set: (...args: string[]) => Promise<unknown>
    defineCommand: (name: string, definition: { numberOfKeys: number, lua: string }) => void
    runCommand: (name: string, args: unknown[]) => Promise<unknown>
  }>
  toKey: (type: string) => string
}

/** For what no call of BullMQ's does. */
export function internalsOf (engineQueue: Queue): BackendInternals {
  return engineQueue.getBackend() as unknown as BackendInternals
}

/** A worker that does not come to its close goes on extending locks, and its timer would hold the process. */
export function stopExtendingLocks (part: object): void {
  (part as { lockManager?: { close: () => void } }).lockManager?.close()
}
