import { createHash } from 'node:crypto'
import { startsOf, type Stored } from './serialization'

const PREFIX = 'kinds:'
/** Of so many kinds at most: BullMQ writes the name of the worker into each job that it takes. */
const MAX_KINDS = 100

/** The name of this process's workers. It says which kinds they run, so that whoever reads a job that one of them has taken knows. */
export function takerName (kinds: string[]): string | undefined {
  return kinds.length > MAX_KINDS ? undefined : PREFIX + kinds.map(digest).join('')
}

/** Whether the worker that took the job last has not its kind: it passes it on, and starts no handler. */
export function isPassedOn ({ name, processedBy }: Stored): boolean {
  if (processedBy === undefined || !processedBy.startsWith(PREFIX)) return false
  const kinds: string[] = processedBy.slice(PREFIX.length).match(/.{6}/g) ?? []
  return !kinds.includes(digest(name))
}

/** How often the handler of a job was started, that of one that is being passed on included. */
export function startsBefore (job: Stored): number {
  // Once its start is discounted it is right as it is; before, only a job that never failed tells.
  return isPassedOn(job) && startsOf(job) === 1 && (job.attemptsMade ?? 0) === 0 ? 0 : startsOf(job)
}

function digest (kind: string): string {
  return createHash('sha256').update(kind).digest('base64url').slice(0, 6)
}
