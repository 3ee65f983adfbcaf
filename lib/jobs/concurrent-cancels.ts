interface Call {
  own: Promise<boolean>
  /** Another has stopped the job meanwhile. */
  wasStopped: boolean
}

/** Cancels of one name at a time: a job that one of them stops was live for all of them, even for those that came too late to find it. */
export class ConcurrentCancels {
  readonly #calls = new Map<string, Set<Call>>()

  /** @param cancel whether it has stopped a job; `undefined` if it has found none, or one that may have stopped meanwhile */
  async run (name: string, cancel: () => Promise<boolean | undefined>): Promise<boolean> {
    const calls = this.#calls.get(name) ?? new Set<Call>()
    this.#calls.set(name, calls)
    let isLate = false
    const call: Call = {
      wasStopped: false,
      own: cancel().then((stopped) => {
        isLate = stopped === undefined
        if (stopped === true) for (const each of calls) each.wasStopped = true
        return stopped === true
      })
    }
    calls.add(call)
    try {
      if (await call.own) return true
      if (isLate) await Promise.allSettled(Array.from(calls, ({ own }) => own))
      return isLate && call.wasStopped
    } finally {
      calls.delete(call)
      if (calls.size === 0) this.#calls.delete(name)
    }
  }
}
