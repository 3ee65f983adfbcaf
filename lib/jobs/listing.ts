import type { TaskState } from '../../types/task'
import type { Engine, Queue } from './engine'
import type { Expiries } from './expiries'
import { fieldsOf, Job, type JobOwner } from './job'
import { isEnded, readJob, type Read } from './names'

/** Where BullMQ keeps live jobs, by the names of its backend. In this order one that goes on to the next is not missed. */
const LIVE = ['delayed', 'prioritized', 'wait', 'active'] as const
/** In pages: what runs first, and what has failed before what has not. */
const SECTIONS = ['active', 'wait', 'prioritized', 'delayed', 'failed', 'completed'] as const
type Section = typeof SECTIONS[number]

const STATES: Record<Section, readonly TaskState[]> = {
  active: ['running', 'cancelling'],
  wait: ['pending'],
  prioritized: ['pending'],
  delayed: ['pending'],
  failed: ['failed', 'cancelled'],
  completed: ['completed']
}

/** Records that are read at once. */
const SLICE = 100
/** Records that a page looks at, to find what matches: a search costs no more than so many, and goes on with the next page. */
const MAX_EXAMINED = 1_000
/** How many ids around the place where a page ended are looked through for it: the list has moved since. */
const DRIFT = 1_000

/** Where jobs are read. */
interface Source { engine: Engine, expiries: Pick<Expiries, 'settled'> }

/**
 * The live jobs. Their ids are read at once, so that those which come, go or move meanwhile change nothing: each that is live
 * throughout is in it once. The records are read as they are asked for.
 */
export async function * liveJobs (source: Source, owner: JobOwner): AsyncGenerator<Job, void> {
  const { engine } = source
  for (const queue of engine.queues) {
    const ids = await engine.request(queue, liveIds)
    for (let i = 0; i < ids.length; i += SLICE) {
      const slice = ids.slice(i, i + SLICE)
      for (const read of await readAll(source, queue, slice)) if (read !== undefined && !isEnded(read.state)) yield new Job(fieldsOf(queue, read.stored, read.state), owner)
    }
  }
}

async function liveIds (engineQueue: Queue): Promise<string[]> {
  const backend = engineQueue.getBackend()
  const read = (): Promise<string[][]> => backend.getRanges([...LIVE], 0, -1, true) as unknown as Promise<string[][]>
  // Twice: in PostgreSQL each list is a query of its own, and a job may go back to one that was read before it.
  const lists = [...await read(), ...await read()]
  return [...new Set(lists.flat())]
}

/** The jobs as they are now: those that are overdue end first. */
async function readAll ({ engine, expiries }: Source, queue: string, ids: string[]): Promise<Array<Read | undefined>> {
  const reads = await engine.request(queue, (engineQueue) => Promise.all(ids.map((id) => readJob(engineQueue, id))))
  return Promise.all(reads.map((read) => expiries.settled(queue, read)))
}

export interface JobQuery {
  limit: number
  after?: string
  states?: readonly TaskState[]
  matches: (job: Job) => boolean
}

/** Where a page has ended: so many ids of a section are behind it, the last of which were these. */
interface Cursor { queue: number, section: number, offset: number, last: string[] }

/** A page of the jobs that match, with the cursor of the next. @throws `RangeError` for a cursor that is none */
export async function pageOfJobs (source: Source, owner: JobOwner, { limit, after, states, matches }: JobQuery): Promise<{ jobs: Job[], next?: string }> {
  const { engine } = source
  const cursor = after === undefined ? { queue: 0, section: 0, offset: 0, last: [] } : readCursor(after)
  const jobs: Job[] = []
  let examined = 0
  for (; cursor.queue < engine.queues.length; cursor.queue++, cursor.section = 0) {
    const queue = engine.queues[cursor.queue]
    for (; cursor.section < SECTIONS.length; cursor.section++, cursor.offset = 0, cursor.last = []) {
      const section = SECTIONS[cursor.section]
      if (states !== undefined && !STATES[section].some((state) => states.includes(state))) continue
      for (;;) {
        if (jobs.length === limit || examined >= MAX_EXAMINED) return { jobs, next: writeCursor(cursor) }
        const ids = await engine.request(queue, (engineQueue) => idsAfter(engineQueue, section, cursor, Math.min(SLICE, limit - jobs.length)))
        if (ids.length === 0) break
        examined += ids.length
        for (const read of await readAll(source, queue, ids)) {
          // One that has just ended comes with those that have.
          if (read === undefined || (isEnded(read.state) && !isEnded(section))) continue
          const job = new Job(fieldsOf(queue, read.stored, read.state), owner)
          if ((states === undefined || states.includes(job.state)) && matches(job)) jobs.push(job)
        }
      }
    }
  }
  return { jobs }
}

/** The next ids of the section, newest first. The cursor moves behind them. */
async function idsAfter (engineQueue: Queue, section: Section, cursor: Cursor, count: number): Promise<string[]> {
  const backend = engineQueue.getBackend()
  const read = async (start: number, end: number): Promise<string[]> => (await backend.getRanges([section as 'active'], start, end - 1, false) as unknown as string[][])[0]
  const margin = cursor.last.length
  let start = Math.max(0, cursor.offset - margin)
  let ids = await read(start, start + margin + count)
  if (margin > 0 && !ids.includes(cursor.last.at(-1)!)) {
    // Others have come, or gone, before the place.
    const from = Math.max(0, cursor.offset - DRIFT)
    const around = await read(from, cursor.offset + DRIFT + count)
    if (cursor.last.some((id) => around.includes(id))) [start, ids] = [from, around]
  }
  const found = cursor.last.findLast((id) => ids.includes(id))
  const first = found === undefined ? Math.min(margin, cursor.offset) : ids.indexOf(found) + 1
  const next = ids.slice(first, first + count)
  cursor.offset = start + first + next.length
  if (next.length > 0) cursor.last = next.slice(-3)
  return next
}

function writeCursor ({ queue, section, offset, last }: Cursor): string {
  return Buffer.from(JSON.stringify([queue, section, offset, last])).toString('base64url')
}

function readCursor (text: string): Cursor {
  try {
    const [queue, section, offset, last]: unknown[] = JSON.parse(Buffer.from(text, 'base64url').toString())
    const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
    if (isNatural(queue) && isNatural(section) && isNatural(offset) && Array.isArray(last) && last.every((id) => typeof id === 'string')) {
      return { queue, section, offset, last: last.slice(0, 3) }
    }
  } catch {}
  throw new RangeError('Not a cursor')
}
