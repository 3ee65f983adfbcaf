import { EventEmitter } from 'node:events'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_CANCELLED } from '../shared/errors'
import type { Store } from './engine'
import { failureOf, failureWithoutRecord, unpackReason, type Stored } from './serialization'

export type Ending = { state: 'completed', result: unknown } | { state: 'failed' | 'cancelled', error: Error }

/** Events tell it sooner; looking finds what they have lost. In ms. */
const FIRST_LOOK = 500
const MAX_LOOK = 8_000

/** Who waits for the end of which job. */
export class Endings {
  /** Each event is the id of a job that has ended. */
  private readonly told = new EventEmitter().setMaxListeners(0)
  private closed = false

  constructor (private readonly store: Store) {
    const { events } = store
    events.on('completed', ({ jobId, returnvalue }) => this.told.emit(jobId, { state: 'completed', result: returnvalue }))
    events.on('failed', ({ jobId, failedReason }) => this.lookAtFailed(jobId, failedReason))
    events.on('cancel', ({ jobId, removed, reason }) => {
      if (removed !== undefined) this.told.emit(jobId, cancelled(removed, unpackReason(JSON.parse(reason))))
    })
  }

  /**
   * How the job ends, until whoever waits abandons it.
   * @throws FST_ERR_JOBS_CLOSED when this app closes first
   */
  wait (id: string, name: string): { ended: Promise<Ending>, abandon: () => void } {
    const { told } = this
    let abandon!: () => void
    const ended = new Promise<Ending>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined
      let interval = FIRST_LOOK
      let missed = 0
      let over = false
      const settle = (ending: Ending | Error): void => {
        abandon()
        if (ending instanceof Error) reject(ending)
        else resolve(ending)
      }
      const poll = async (): Promise<void> => {
        // A store that is away is waited for, too.
        const found = await this.look(id).catch(() => true)
        // Its record may go before the event of its end comes: gone is gone when it is so twice.
        if (!found && ++missed > 1) settle(cancelled(name, new Error('The record of the job is gone')))
        if (over) return
        timer = setTimeout(poll, interval)
        interval = Math.min(interval * 2, MAX_LOOK)
      }
      abandon = () => {
        over = true
        clearTimeout(timer)
        told.off(id, settle)
      }
      told.on(id, settle)
      if (this.closed) settle(new FST_ERR_JOBS_CLOSED())
      else poll()
    })
    return { ended, abandon }
  }

  /** Tells how the job has ended, if it has. @returns whether there is a record of it */
  private async look (id: string): Promise<boolean> {
    return this.store.ask(async (queue) => {
      const job: Stored | undefined = await queue.getJob(id)
      if (job?.finishedOn !== undefined) {
        this.told.emit(id, await job.isFailed() ? failureOf(job) : { state: 'completed', result: job.returnvalue })
      }
      return job !== undefined
    })
  }

  /** The event has the message alone, which must do when the record is gone already. */
  private async lookAtFailed (id: string, message: string): Promise<void> {
    if (this.told.listenerCount(id) === 0) return
    const found = await this.look(id).catch(() => true)
    if (!found) this.told.emit(id, failureWithoutRecord(message))
  }

  /** Nothing waits any longer. */
  close (): void {
    this.closed = true
    for (const id of this.told.eventNames()) this.told.emit(id, new FST_ERR_JOBS_CLOSED())
  }
}

function cancelled (name: string, cause: unknown): Ending {
  return { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(name, { cause }) }
}
