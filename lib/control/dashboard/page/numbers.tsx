import type { ComponentChildren, JSX } from 'preact'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { count, elapsed } from './model/format'
import { WINDOW } from './model/history'
import { liveOf } from './model/snapshot'

/** What is kept, and what happened lately: two sets of numbers that must not be taken for each other. */
export function Numbers ({ controller }: { controller: Controller }): JSX.Element {
  useEmitters(controller.onNumbers, controller.onPlace)
  const { counts, paged, list: { loaded } } = controller
  /** Nothing is known is not the same as none. */
  const kept = (value: number): number | undefined => loaded ? value : undefined
  const { known } = controller.history
  const total = controller.history.total()
  const lately = (key: keyof typeof total): number | undefined => known > 0 ? total[key] : undefined
  const since = known >= WINDOW - 1 || known === 0 ? 'Last 5 minutes' : `Last 5 minutes, seen for ${elapsed(known * 1000)}`
  return (
    <section class='numbers' aria-label='Numbers'>
      <Group id='kept' title='Kept now' hint='Live ones, and ended ones until they are purged or make room for newer ones'>
        <Total id='live' label='Live' value={kept(liveOf(counts))} note={counts.pending > 0 ? `${count(counts.pending)} pending` : undefined} />
        <Total id='completed' label='Completed' value={kept(counts.completed)} />
        {paged
          // The engine keeps both in one set.
          ? <Total id='failed' label='Failed or cancelled' value={kept(counts.failed + counts.cancelled)} />
          : <Total id='failed' label='Failed' value={kept(counts.failed)} />}
        {!paged && <Total id='cancelled' label='Cancelled' value={kept(counts.cancelled)} />}
      </Group>
      <Group id='lately' title={since} hint='Counted by this page while it was connected'>
        <Total id='lately-started' label='Started' value={lately('started')} />
        <Total id='lately-completed' label='Completed' value={lately('completed')} />
        <Total id='lately-failed' label='Failed' value={lately('failed')} />
        <Total id='lately-cancelled' label='Cancelled' value={lately('cancelled')} />
      </Group>
    </section>
  )
}

function Group ({ id, title, hint, children }: { id: string, title: string, hint: string, children: ComponentChildren }): JSX.Element {
  return (
    <div class='card' id={id}>
      <h2 title={hint}>{title}</h2>
      <dl>{children}</dl>
    </div>
  )
}

function Total ({ id, label, value, note }: { id: string, label: string, value: number | undefined, note?: string }): JSX.Element {
  const alarm = label.startsWith('Failed') && value !== undefined && value > 0
  return (
    <div>
      <dt>{label}</dt>
      <dd data-total={id} class={alarm ? 'alarm' : undefined}>{value === undefined ? '–' : count(value)}{note !== undefined && <small> {note}</small>}</dd>
    </div>
  )
}
