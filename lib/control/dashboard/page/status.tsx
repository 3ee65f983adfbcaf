import type { JSX } from 'preact'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { clock } from './time'

const LABELS = { connecting: 'Connecting…', live: 'Live', lost: 'Disconnected, retrying…', denied: '' }

/** Whether what is shown is so. */
export function StatusPill ({ controller }: { controller: Controller }): JSX.Element {
  useEmitters(controller.onPlace)
  const { status } = controller.connection
  const label = status.state === 'denied' ? status.title : LABELS[status.state]
  return <p id='connection' role='status' data-state={status.state}>{label}</p>
}

/** What is wrong, and what to do. */
export function StatusBanner ({ controller }: { controller: Controller }): JSX.Element | null {
  useEmitters(controller.onPlace, controller.onNumbers)
  const { status } = controller.connection
  if (status.state === 'live' || status.state === 'connecting') {
    return controller.list.missing.length > 0 ? <Missing count={controller.list.missing.length} /> : null
  }
  return (
    <div class='banner' data-state={status.state} role='alert'>
      <div>
        <strong>{status.state === 'denied' ? status.title : 'Disconnected'}</strong>
        <p>
          {status.why}
          {controller.list.loaded && ` What is shown is as of ${clock(controller.now)}; nothing can be cancelled until the connection is back.`}
        </p>
      </div>
      <button type='button' onClick={() => controller.connection.connect()}>Try again</button>
    </div>
  )
}

function Missing ({ count }: { count: number }): JSX.Element {
  return (
    <div class='banner' data-state='missing' role='status'>
      <p>{count === 1 ? 'One process does not answer' : `${count} processes do not answer`}: its tasks are not listed, or out of date.</p>
    </div>
  )
}
