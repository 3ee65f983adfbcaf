import type { EventEmitter } from 'node:events'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_CANCELLED } from '../errors'
import type { Queue, Store } from './store'
import { failureOf, unpackReason, type Stored } from './wire'

export type Ending = { state: 'completed', result: unknown } | { state: 'failed' | 'cancelled', error: Error }

/** Events tell it sooner; this finds what they have lost. In ms. */
const FIRST_LOOK = 500
const MAX_LOOK = 8_000

/** Who waits for the end of which job. */
export class Endings {
  private readonly waiting = new Map<string, Set<Wait>>()

  constructor (private readonly store: Store) {
    const { events } = store
    this.on(events, 'completed', (wait, { returnvalue }) => wait.settle({ state: 'completed', result: returnvalue }))
    this.on(events, 'failed', (wait) => wait.look())
    this.on(events, 'cancel', (wait, { removed, reason }) => {
      if (removed !== undefined) wait.settle(cancelled(wait.name, unpackReason(JSON.parse(reason))))
    })
  }

  private on (events: EventEmitter, event: string, tell: (wait: Wait, args: any) => void): void {
    events.on(event, (args: { jobId: string }) => {
      for (const wait of this.waiting.get(args.jobId) ?? []) tell(wait, args)
    })
  }

  /** How the job ends. @throws FST_ERR_JOBS_CLOSED when this app closes first, FST_ERR_JOB_CANCELLED when given up */
  wait (id: string, name: string): Wait {
    const wait = new Wait(id, name, this.store, () => {
      const waits = this.waiting.get(id)
      if (waits?.delete(wait) === true && waits.size === 0) this.waiting.delete(id)
    })
    const waits = this.waiting.get(id)
    if (waits === undefined) this.waiting.set(id, new Set([wait]))
    else waits.add(wait)
    wait.look()
    return wait
  }

  /** Nothing waits any longer. */
  close (): void {
    for (const waits of this.waiting.values()) for (const wait of waits) wait.settle(new FST_ERR_JOBS_CLOSED())
  }
}

/** One who waits. */
export class Wait {
  readonly ended: Promise<Ending>
  private resolve!: (ending: Ending) => void
  private reject!: (error: Error) => void
  private timer: NodeJS.Timeout | undefined
  private interval = FIRST_LOOK
  private missed = 0
  private settled = false

  constructor (private readonly id: string, readonly name: string, private readonly store: Store, private readonly done: () => void) {
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Who cancels looks at it only now and then.
    this.ended.catch(() => {})
  }

  settle (ending: Ending | Error): void {
    if (this.settled) return
    this.settled = true
    clearTimeout(this.timer)
    this.done()
    if (ending instanceof Error) this.reject(ending)
    else this.resolve(ending)
  }

  /** Whoever waited has gone. */
  abandon (): void {
    // Rejects nobody: a promise that is left pending is simply forgotten.
    this.settled = true
    clearTimeout(this.timer)
    this.done()
  }

  look (): void {
    clearTimeout(this.timer)
    // A store that is away is waited for, too.
    this.store.ask((queue) => this.read(queue)).then((ending) => ending && this.settle(ending), () => {}).then(() => {
      if (this.settled) return
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.look(), this.interval)
      this.interval = Math.min(this.interval * 2, MAX_LOOK)
    })
  }

  private async read (queue: Queue): Promise<Ending | undefined> {
    const job: Stored | undefined = await queue.getJob(this.id)
    if (job === undefined) {
      // Its record may go before the event of its end comes: gone is gone when it is so twice.
      return ++this.missed > 1 ? cancelled(this.name, new Error('The record of the job is gone')) : undefined
    }
    if (job.finishedOn === undefined) return undefined
    return await job.isFailed() ? failureOf(job) : { state: 'completed', result: job.returnvalue }
  }
}

function cancelled (name: string, cause: unknown): Ending {
  return { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(name, { cause }) }
}
