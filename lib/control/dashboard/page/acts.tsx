import { hasUrl, type CancelFilter, type TaskRef } from './api'
import type { Controller } from './controller'
import { count, plural } from './model/format'
import { isFiltered } from './model/location'
import { safeName } from './model/names'
import { endedOf, isLive, statesOf, type State } from './model/snapshot'
import type { Row } from './model/store'
import type { Filter } from './model/view'
import { Name } from './name'
import { say } from './notices'
import { ask } from './question'

/** How many names one request may carry. */
const NAMES = 500
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
    const { cancelled, remaining } = await api.cancelAll({ names: [task.name], process: task.process?.id, reason })
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
    const rows = this.matching()
    const number = paged ? await this.#count() : count(rows.length)
    if (number === undefined) return
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
      let cancelled = 0
      let remaining = 0
      for (const request of paged ? [{ ...filterOf(filter), ...filter.q !== '' && { q: filter.q } }] : requestsFor(filter, rows)) {
        const reply = await api.cancelAll({ ...request, reason: answer.reason })
        cancelled += reply.cancelled
        remaining += reply.remaining.length
      }
      say(`${plural(cancelled, noun)} cancelled${remaining === 0 ? '.' : `, ${count(remaining)} asked to stop and still running.`}`)
    })
  }

  /** How many live ones match, where the server has to be asked. */
  async #count (): Promise<string | undefined> {
    const { api, place: { filter: { q, prefix, state } } } = this.#controller
    let found = 0
    let after: string | undefined
    const isDone = await this.#do(async () => {
      do {
        const page = await api.list({ limit: 1_000, after, q: q || undefined, prefix: prefix || undefined, state: statesOf(state === '' ? 'live' : state) })
        found += page.tasks.filter(isLive).length
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
      say(paused ? `The queue ${safeName(queue)} is paused: none of its jobs is started.` : `The queue ${safeName(queue)} goes on.`)
    })
  }

  /** The live tasks that match the filter. */
  matching (): Row[] {
    return this.#controller.view.rows.filter(({ task, gone }) => !gone && isLive(task))
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
      const purged = await api.purge()
      await this.#controller.sync()
      say(`${plural(purged, noun)} removed.`)
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

function filterOf ({ state, group, prefix, process }: Filter): CancelFilter {
  return {
    ...process !== '' && { process },
    ...group !== '' && { group },
    ...prefix !== '' && { prefix },
    state: state === '' || state === 'live' ? ['pending', 'running'] : [state]
  }
}

/** The server's own filter where it has one; where only the page can tell what matches, the names. */
function requestsFor (filter: Filter, rows: Row[]): CancelFilter[] {
  if (filter.q === '') return [filterOf(filter)]
  const scope = { ...filter.process !== '' && { process: filter.process } }
  const requests: CancelFilter[] = []
  for (let from = 0; from < rows.length; from += NAMES) {
    requests.push({ ...scope, names: rows.slice(from, from + NAMES).map(({ task }) => task.name) })
  }
  return requests
}
