import type { CancelFilter, TaskRef } from './api'
import type { Controller } from './controller'
import { count, plural } from './model/format'
import { isFiltered } from './model/location'
import { safeName } from './model/names'
import { isLive } from './model/snapshot'
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
    const sure = await ask({
      title: <>Cancel <Name name={task.name} />?</>,
      text: <p>The task is asked to stop. This can take a moment.</p>,
      act: 'Cancel the task',
      keep: 'Keep'
    })
    if (!sure) return false
    await this.#do(async (api) => {
      const { cancelled, remaining, snapshot } = await this.#cancelOne(task)
      if (snapshot !== undefined) this.#controller.take(snapshot)
      if (remaining || snapshot?.state === 'cancelling') say(`${safeName(task.name)} has not stopped yet: it was asked to, and still runs.`)
      else if (cancelled || snapshot?.state === 'cancelled') say(`${safeName(task.name)} is cancelled.`)
      else say(`${safeName(task.name)} has ended: ${snapshot?.state ?? 'it was not live any more'}.`)
      return api
    })
    return true
  }

  async #cancelOne (task: TaskRef): Promise<{ cancelled?: boolean, remaining?: boolean, snapshot?: Awaited<ReturnType<Controller['api']['cancel']>> }> {
    const { api } = this.#controller
    if (hasUrl(task.name)) return { snapshot: await api.cancel(task) }
    const { cancelled, remaining } = await api.cancelAll({ names: [task.name], process: task.process?.id })
    return { cancelled: cancelled > 0, remaining: remaining.length > 0 }
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
    const sure = await ask({
      title: `Cancel ${plural(rows.length, 'live task')}?`,
      text: isFiltered(filter)
        ? <p>All live tasks that match the filter are asked to stop.</p>
        : <p>No filter is set: <strong>every</strong> live task is asked to stop.</p>,
      act: rows.length === 1 ? 'Cancel 1 task' : `Cancel ${count(rows.length)} tasks`,
      keep: 'Keep them'
    })
    if (!sure) return
    say(`${plural(rows.length, 'task')} asked to stop…`)
    await this.#do(async (api) => {
      let cancelled = 0
      let remaining = 0
      for (const request of requestsFor(filter, rows)) {
        const reply = await api.cancelAll(request)
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
    const sure = await ask({
      title: `Purge ${plural(ended, 'ended task')}?`,
      text: <p>Removes ended tasks and their results, whatever the filter. Live tasks are not affected.</p>,
      act: 'Purge',
      keep: 'Keep them'
    })
    if (!sure) return
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

/** URLs take `.` and `..` for folders, and cannot hold half of a surrogate pair. */
export function hasUrl (name: string): boolean {
  return name !== '.' && name !== '..' && name.isWellFormed()
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
