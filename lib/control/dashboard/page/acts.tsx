import { hasUrl, type CancelFilter, type TaskRef } from './api'
import type { Controller } from './controller'
import { count, plural } from './model/format'
import { isFiltered } from './model/location'
import { safeName } from './model/names'
import { isLive, type State } from './model/snapshot'
import type { Row } from './model/store'
import { Name } from './name'
import { say } from './notices'
import { ask } from './question'

/** How many names one request may carry. */
const NAMES = 500

/** What a person can do to the tasks. Each says what has come of it. */
export class Acts {
  readonly #controller: Controller

  constructor (controller: Controller) {
    this.#controller = controller
  }

  /** @returns whether it was done, and not only asked */
  async cancel (task: TaskRef): Promise<boolean> {
    const answer = await ask({
      title: <>Cancel <Name name={task.name} />?</>,
      text: <p>The task is asked to stop. This can take a moment.</p>,
      act: 'Cancel the task',
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
    const rows = this.matching()
    const { filter } = this.#controller.place
    const answer = await ask({
      title: `Cancel ${plural(rows.length, 'live task')}?`,
      text: isFiltered(filter)
        ? <p>All live tasks that match the filter are asked to stop.</p>
        : <p>No filter is set: <strong>every</strong> live task is asked to stop.</p>,
      act: rows.length === 1 ? 'Cancel 1 task' : `Cancel ${count(rows.length)} tasks`,
      keep: 'Keep them',
      asksReason: true
    })
    if (!answer.act) return
    say(`${plural(rows.length, 'task')} asked to stop…`)
    await this.#do(async (api) => {
      let cancelled = 0
      let remaining = 0
      for (const request of requestsFor(filter, rows)) {
        const reply = await api.cancelAll({ ...request, reason: answer.reason })
        cancelled += reply.cancelled
        remaining += reply.remaining.length
      }
      say(`${plural(cancelled, 'task')} cancelled${remaining === 0 ? '.' : `, ${count(remaining)} asked to stop and still running.`}`)
    })
  }

  /** The live tasks that match the filter. */
  matching (): Row[] {
    return this.#controller.view.rows.filter(({ task, gone }) => !gone && isLive(task))
  }

  async purge (): Promise<void> {
    const { counts } = this.#controller.store
    const ended = counts.completed + counts.failed + counts.cancelled
    const answer = await ask({
      title: `Purge ${plural(ended, 'ended task')}?`,
      text: <p>Removes ended tasks and their results, whatever the filter. Live tasks are not affected.</p>,
      act: 'Purge',
      keep: 'Keep them'
    })
    if (!answer.act) return
    await this.#do(async (api) => {
      const purged = await api.purge()
      await this.#controller.sync()
      say(`${plural(purged, 'task')} removed.`)
    })
  }

  async #do (act: (api: Controller['api']) => Promise<unknown>): Promise<void> {
    try {
      await act(this.#controller.api)
    } catch (error) {
      say(this.#controller.explain(error), true)
    }
  }
}

/** The server's own filter where it has one; where only the page can tell what matches, the names. */
function requestsFor ({ q, state, group, prefix, process }: Controller['place']['filter'], rows: Row[]): CancelFilter[] {
  const scope = { ...process !== '' && { process } }
  if (q === '') {
    return [{
      ...scope,
      ...group !== '' && { group },
      ...prefix !== '' && { prefix },
      state: state === '' || state === 'live' ? ['pending', 'running'] : [state]
    }]
  }
  const requests: CancelFilter[] = []
  for (let from = 0; from < rows.length; from += NAMES) {
    requests.push({ ...scope, names: rows.slice(from, from + NAMES).map(({ task }) => task.name) })
  }
  return requests
}
