import type { StopRequest } from './canceller'
import type { Reason, Stored } from './serialization'

/** How many are kept. Older ones are found with the jobs. */
const MAX = 1_000

/** Requests to stop jobs that do not run here, or not yet: a worker may have read its job before it was flagged. */
export class EarlyCancels {
  readonly #requests = new Map<string, StopRequest>()

  add (request: StopRequest): void {
    this.#requests.set(request.id, request)
    if (this.#requests.size > MAX) this.#requests.delete(this.#requests.keys().next().value!)
  }

  /** Why the job is not to be started, if it is not. */
  reasonFor (job: Stored): Reason | undefined {
    const request = this.#requests.get(job.id!)
    return request !== undefined && isFor(request, job) ? request.reason : undefined
  }
}

/** Whether the job was not retried since. */
export function isFor ({ retries = 0 }: StopRequest, { data }: Stored): boolean {
  return retries === (data.retries ?? 0)
}
