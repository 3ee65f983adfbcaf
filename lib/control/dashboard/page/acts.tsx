import { hasUrl, RefusedError, type CancelFilter, type TaskRef } from './api'
import type { Controller } from './controller'
import { count, plural } from './model/format'
import { isFiltered } from './model/location'
import { safeName } from './model/names'
import { endedOf, isLive, liveStatesOf, type State } from './model/snapshot'
import { matches, type Filter } from './model/view'
import { Name } from './name'
import { say } from './notices'
import { ask } from './question'

/** Up to how many are counted before a question. */
const COUNTED = 10_000

/** What a person can do to the tasks. Each says what has come of it. */
export class Acts {
  readonly #controller: Controller

  constructor (controller: Controller) {
    this.#controller = controller
  }

  /** @returns whether it was done, and not only asked */
  async cancel (task: TaskRef): Promise<boolean> {
    const { noun } = this.#controller
    const answer = await ask({
      title: <>Cancel <Name name={task.name} />?</>,
      text: <p>The {noun} is asked to stop. This can take a moment.</p>,
      act: `Cancel the ${noun}`,
      keep: 'Keep',
      asksReason: true
    })
    if (!answer.act) return false
    const name = safeName(task.name)
    await this.#do(async () => {
      const state = await this.#cancelOne(task, answer.reason)
      if (state === 'cancelling') say(`${name} was asked to stop, and has not stopped yet.`)
      else if (state === 'cancelled') say(`${name} is cancelled.`)
      else say(state === undefined ? `${name} had already ended.` : `${name} has ended: ${state}.`)
    })
    return true
  }

  /** @returns what has become of it, if that is known */
  async #cancelOne (task: TaskRef, reason: string | undefined): Promise<State | undefined> {
    const { api } = this.#controller
    // What has no URL, or is given a reason, is named in a body.
    if (hasUrl(task.name) && reason === undefined) {
      const snapshot = await api.cancel(task)
      this.#controller.take(snapshot)
      return snapshot.state
    }
    const { cancelled, remaining, missing } = await api.cancelAll({ names: [task.name], process: task.process?.id, reason })
    if (cancelled + remaining.length === 0 && missing !== undefined) throw new RefusedError(503, `Not found.${unanswered(missing)}`)
    return remaining.length > 0 ? 'cancelling' : cancelled > 0 ? 'cancelled' : undefined
  }

  async heartbeat (task: TaskRef): Promise<void> {
    await this.#do(async (api) => {
      await api.heartbeat(task)
      await this.#controller.refresh(task)
      say(`The lease of ${safeName(task.name)} is renewed.`)
    })
  }

  /** Cancels all live tasks that match the filter. */
  async cancelMatching (): Promise<void> {
    const { place: { filter }, noun, paged } = this.#controller
    const number = paged ? await this.#count() : count(this.matching)
    if (number === undefined) return
    if (number === '0') return say(`No live ${noun} matches the filter.`)
    const many = number === '1' ? `1 live ${noun}` : `${number} live ${noun}s`
    const answer = await ask({
      title: `Cancel ${many}?`,
      text: isFiltered(filter)
        ? <p>All live {noun}s that match the filter are asked to stop.</p>
        : <p>No filter is set: <strong>every</strong> live {noun} is asked to stop.</p>,
      act: `Cancel ${number} ${number === '1' ? noun : `${noun}s`}`,
      keep: 'Keep them',
      asksReason: true
    })
    if (!answer.act) return
    say(`${many} asked to stop…`)
    await this.#do(async (api) => {
      const { cancelled, remaining: { length: remaining }, missing } = await api.cancelAll({ ...filterOf(filter), reason: answer.reason })
      say(`${plural(cancelled, noun)} cancelled${remaining === 0 ? '.' : `, ${count(remaining)} asked to stop and still running.`}${unanswered(missing)}`, missing !== undefined)
    })
  }

  /** How many live ones match, where the server has to be asked. */
  async #count (): Promise<string | undefined> {
    const { place: { filter } } = this.#controller
    let found = 0
    let after: string | undefined
    const isDone = await this.#do(async (api) => {
      do {
        const page = await api.list({ limit: 1_000, after, ...filterOf(filter) })
        found += page.tasks.length
        after = page.next
      } while (after !== undefined && found < COUNTED)
    })
    return isDone ? `${count(found)}${after === undefined ? '' : ' or more'}` : undefined
  }

  /** Runs a failed job again. */
  async retry (job: TaskRef): Promise<void> {
    await this.#do(async (api) => {
      this.#controller.take(await api.retry(job))
      say(`${safeName(job.name)} runs again.`)
    })
  }

  async setQueuePaused (queue: string, paused: boolean): Promise<void> {
    await this.#do(async (api) => {
      await api.setPaused(queue, paused)
      await this.#controller.sync()
      say(`The queue ${safeName(queue)} is ${paused ? 'paused: none of its jobs is started' : 'resumed'}.`)
    })
  }

  /** How many live tasks match the filter: as they are, also while the list is paused. */
  get matching (): number {
    const { store, place: { filter } } = this.#controller
    let found = 0
    for (const { task, search, gone } of store.rows.values()) if (!gone && isLive(task) && matches(task, search, filter)) found++
    return found
  }

  async purge (): Promise<void> {
    const { counts, noun } = this.#controller
    const answer = await ask({
      title: `Purge ${plural(endedOf(counts), `ended ${noun}`)}?`,
      text: <p>Removes ended {noun}s and their results, whatever the filter. Live {noun}s are not affected.</p>,
      act: 'Purge',
      keep: 'Keep them'
    })
    if (!answer.act) return
    await this.#do(async (api) => {
      const { purged, missing } = await api.purge()
      await this.#controller.sync()
      say(`${plural(purged, noun)} removed.${unanswered(missing)}`, missing !== undefined)
    })
  }

  /** @returns whether it has worked */
  async #do (act: (api: Controller['api']) => Promise<unknown>): Promise<boolean> {
    try {
      await act(this.#controller.api)
      return true
    } catch (error) {
      say(this.#controller.explain(error), true)
      return false
    }
  }
}

/** What the routes are asked for: the live ones that the filter of the page shows. */
function filterOf ({ q, state, group, prefix, process }: Filter): CancelFilter {
  return {
    state: liveStatesOf(state),
    q: q || undefined,
    group: group || undefined,
    prefix: prefix || undefined,
    process: process || undefined
  }
}

function unanswered (missing: unknown[] = []): string {
  return missing.length === 0 ? '' : ` ${plural(missing.length, 'process', 'processes')} did not answer.`
}
