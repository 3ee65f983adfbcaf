import { EventEmitter } from 'node:events'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOB_CANCELLED } from '../shared/errors'
import type { Engine } from './engine'
import { readFailure, readFailureEvent, deserializeReason, type Stored } from './serialization'

export type Outcome = { state: 'completed', result: unknown } | { state: 'failed' | 'cancelled', error: Error }

/** Events tell it sooner; looking finds what they have lost. In ms. */
const POLL_INTERVAL = 500
const MAX_POLL_INTERVAL = 8_000

/** Who waits for the end of which job. */
export class CompletionWaiter {
  /** Each event is the id of a job that has ended. */
  private readonly completions = new EventEmitter().setMaxListeners(0)
  private closed = false

  constructor (private readonly engine: Engine) {
    const { events } = engine
    events.on('completed', ({ jobId, returnvalue }) => this.completions.emit(jobId, { state: 'completed', result: returnvalue }))
    events.on('failed', ({ queue, jobId, failedReason }) => this.pollFailed(queue, jobId, failedReason))
    events.on('cancel', ({ jobId, removed, reason }) => {
      if (removed !== undefined) this.completions.emit(jobId, cancelled(removed, deserializeReason(JSON.parse(reason))))
    })
  }

  /**
   * How the job ends, until whoever waits abandons it.
   * @throws FST_ERR_JOBS_CLOSED when this app closes first
   */
  wait (queue: string, id: string, name: string): { ended: Promise<Outcome>, abandon: () => void } {
    const { completions } = this
    let abandon!: () => void
    const ended = new Promise<Outcome>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined
      let interval = POLL_INTERVAL
      let missingPolls = 0
      let settled = false
      const settle = (ending: Outcome | Error): void => {
        abandon()
        if (ending instanceof Error) reject(ending)
        else resolve(ending)
      }
      const pollAgain = async (): Promise<void> => {
        // A store that is away is waited for, too.
        const found = await this.poll(queue, id).catch(() => true)
        // Its record may go before the event of its end comes: gone is gone when it is so twice.
        if (!found && ++missingPolls > 1) settle(cancelled(name, new Error('The record of the job is gone')))
        if (settled) return
        timer = setTimeout(pollAgain, interval)
        interval = Math.min(interval * 2, MAX_POLL_INTERVAL)
      }
      abandon = () => {
        settled = true
        clearTimeout(timer)
        completions.off(id, settle)
      }
      completions.on(id, settle)
      if (this.closed) settle(new FST_ERR_JOBS_CLOSED())
      else pollAgain()
    })
    return { ended, abandon }
  }

  /** Tells how the job has ended, if it has. @returns whether there is a record of it */
  private async poll (queue: string, id: string): Promise<boolean> {
    return this.engine.request(queue, async (engineQueue) => {
      const job: Stored | undefined = await engineQueue.getJob(id)
      if (job?.finishedOn !== undefined) {
        this.completions.emit(id, await job.isFailed() ? readFailure(job) : { state: 'completed', result: job.returnvalue })
      }
      return job !== undefined
    })
  }

  /** The event has the message alone, which must do when the record is gone already. */
  private async pollFailed (queue: string, id: string, message: string): Promise<void> {
    if (this.completions.listenerCount(id) === 0) return
    const found = await this.poll(queue, id).catch(() => true)
    if (!found) this.completions.emit(id, readFailureEvent(message))
  }

  /** Nothing waits any longer. */
  close (): void {
    this.closed = true
    for (const id of this.completions.eventNames()) this.completions.emit(id, new FST_ERR_JOBS_CLOSED())
  }
}

function cancelled (name: string, cause: unknown): Outcome {
  return { state: 'cancelled', error: new FST_ERR_JOB_CANCELLED(name, { cause }) }
}
