import type { JSX } from 'preact'
import type { Acts } from './acts'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { count, duration, relative } from './model/format'
import { safeName } from './model/names'
import { Name } from './name'
import { iso, moment } from './time'

/** The queues of the fleet and its schedules. */
export function QueuesPanel ({ controller, acts }: { controller: Controller, acts: Acts }): JSX.Element {
  useEmitters(controller.onNumbers, controller.onPlace)
  const { queues = [], schedules = [] } = controller.list.summary
  return (
    <section class='statistics card' aria-label='Queues and schedules'>
      <div class='scroll' tabIndex={0} role='region' aria-label='Queues and schedules table'>
        <table class='queues'>
          <thead><tr><th scope='col'>Queue</th><th scope='col'>Jobs</th><th scope='col'><span class='unseen'>Act</span></th></tr></thead>
          <tbody>
            {queues.map(({ queue, paused, counts }) => (
              <tr key={queue}>
                <th scope='row'><Name name={queue} />{paused && <strong class='paused'> paused</strong>}</th>
                <td>{describe(counts)}</td>
                <td>
                  <button
                    type='button' class='link' disabled={!controller.live} aria-label={`${paused ? 'Resume' : 'Pause'} the queue ${safeName(queue)}`}
                    onClick={() => { acts.setQueuePaused(queue, !paused) }}
                  >
                    {paused ? 'Resume' : 'Pause'}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {schedules.length > 0 && (
          <table>
            <thead><tr><th scope='col'>Schedule</th><th scope='col'>Kind</th><th scope='col'>Runs</th><th scope='col'>Next</th></tr></thead>
            <tbody>
              {schedules.map(({ name, kind, pattern, every, tz, next }) => (
                <tr key={name}>
                  <th scope='row' title={safeName(name)}><Name name={name} /></th>
                  <td><Name name={kind} /></td>
                  <td>{pattern === undefined ? every !== undefined && `every ${duration(every)}` : <code>{pattern}{tz !== undefined && ` ${tz}`}</code>}</td>
                  <td>{next === undefined ? '–' : <time dateTime={iso(next)} title={moment(next)}>{relative(next, controller.now)}</time>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </section>
  )
}

/** What there is of each, in the engine's own words. */
function describe (counts: Record<string, number>): string {
  const some = Object.entries(counts).filter(([, number]) => number > 0)
  return some.length === 0 ? 'empty' : some.map(([state, number]) => `${count(number)} ${state}`).join(' · ')
}
