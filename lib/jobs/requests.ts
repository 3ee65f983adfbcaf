import { FST_ERR_JOB_ENGINE_UNAVAILABLE, FST_ERR_JOB_INVALID_TEXT, FST_ERR_JOB_NAME_IN_USE } from '../shared/errors'
import { timers } from '../shared/timers'
import { redactError } from '../shared/redaction'
import { sleep } from './sleep'

/** How long the store may say nothing, in ms. */
export const RESPONSE_TIMEOUT = 5_000

/** PostgreSQL's class of errors for values that it cannot hold: texts with U+0000 or half of a surrogate pair. */
const DATA_EXCEPTION = /^22/

/** What is asked of the store, until it has answered or is found to be silent. */
export class Requests {
  readonly #heardAt: () => number
  readonly #pending = new Map<Promise<unknown>, (cause: Error) => void>()
  #answeredAt = 0

  /** @param heardAt when the store last sent anything, as `timers.now()` has it */
  constructor (heardAt: () => number) {
    this.#heardAt = heardAt
  }

  /** @throws FST_ERR_JOB_ENGINE_UNAVAILABLE when the store fails or says nothing; FST_ERR_JOB_INVALID_TEXT; FST_ERR_JOB_NAME_IN_USE; what BullMQ itself refuses */
  async run<T> (operation: () => Promise<T>): Promise<T> {
    const since = timers.now()
    let timer: NodeJS.Timeout | undefined
    let done = false
    let abandon!: (cause: Error) => void
    const abandoned = new Promise<never>((_resolve, reject) => { abandon = reject })
    const check = (): void => {
      if (done) return
      // Many requests at once may take long in all: what counts is whether the store says anything.
      const silent = timers.now() - Math.max(since, this.#answeredAt, this.#heardAt())
      if (silent >= RESPONSE_TIMEOUT) abandon(new Error(`No answer for ${RESPONSE_TIMEOUT} ms`))
      // After a stall of the event loop a timer comes before the answers that wait in the socket; an immediate does not.
      else timer = timers.setTimeout(() => timers.setImmediate(check, undefined), RESPONSE_TIMEOUT - silent, undefined)
    }
    check()
    const requesting = Promise.race([operation(), abandoned]).catch((cause) => { throw toRequestError(cause) }).finally(() => {
      done = true
      timers.clearTimeout(timer)
      this.#pending.delete(requesting)
    })
    this.#pending.set(requesting, abandon)
    const answer = await requesting
    this.#answeredAt = timers.now()
    return answer
  }

  /** Those under way will have no answer. */
  abandonAll (cause: Error): void {
    for (const abandon of this.#pending.values()) abandon(cause)
  }

  /** Resolves when all are answered, or soon: a store that hangs does not answer. */
  async settle (): Promise<void> {
    await Promise.race([Promise.allSettled(this.#pending.keys()), sleep(RESPONSE_TIMEOUT / 6, undefined, { ref: false })])
  }
}

function toRequestError (cause: Error & { code?: unknown }): Error {
  // BullMQ numbers its own answers, such as that a job is gone.
  if (typeof cause.code === 'number') return cause
  if (cause instanceof FST_ERR_JOB_NAME_IN_USE) return cause
  const redacted = redactError(cause)
  if (DATA_EXCEPTION.test(String(cause.code))) return new FST_ERR_JOB_INVALID_TEXT(redacted.message, { cause: redacted })
  // Whatever else goes wrong is the store's.
  return new FST_ERR_JOB_ENGINE_UNAVAILABLE({ cause: redacted })
}
