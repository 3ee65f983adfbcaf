import type { JSX } from 'preact'
import type { ProcessInfo } from './api'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { bytes, elapsed } from './model/format'

/** Which process answers, and how it is. With several, each of them. */
export function ProcessPanel ({ controller }: { controller: Controller }): JSX.Element | null {
  useEmitters(controller.onNumbers)
  const processes = Array.from(controller.list.processes.values())
  if (processes.length === 0) return null
  return (
    <section id='processes' aria-label={processes.length === 1 ? 'Process' : 'Processes'}>
      {processes.map((process) => <ProcessLine key={process.id} process={process} controller={controller} several={processes.length > 1} />)}
    </section>
  )
}

function ProcessLine ({ process, controller, several }: { process: ProcessInfo, controller: Controller, several: boolean }): JSX.Element {
  const { id, hostname, pid, uptime, heapUsed, eventLoopDelay } = process
  const { filter } = controller.place
  const name = `${hostname} · pid ${pid}`
  return (
    <dl>
      <div>
        <dt>Process</dt>
        <dd>
          {several
            ? <button type='button' class='link' aria-pressed={filter.process === id} onClick={() => controller.navigation.go({ filter: { ...filter, process: filter.process === id ? '' : id } })}>{name}</button>
            : name}
        </dd>
      </div>
      {uptime !== undefined && <div><dt>up</dt><dd>{elapsed(uptime)}</dd></div>}
      {heapUsed !== undefined && <div><dt>heap</dt><dd>{bytes(heapUsed)}</dd></div>}
      {eventLoopDelay !== undefined && <div><dt>loop delay</dt><dd data-high={eventLoopDelay > 100 || undefined}>{eventLoopDelay.toFixed(1)} ms</dd></div>}
    </dl>
  )
}
