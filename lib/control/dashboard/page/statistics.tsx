import type { JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { count, duration, percent } from './model/format'
import { safeName } from './model/names'
import { statistics } from './model/statistics'
import type { Row } from './model/store'
import { Name } from './name'

/** More are reached by the search. */
const MOST = 50

const TITLES = { group: 'Group', prefix: 'Name' }

/** Of all tasks that are kept, by group or by what their names begin with. */
export function StatisticsPanel ({ controller }: { controller: Controller }): JSX.Element {
  useEmitters(controller.onNumbers)
  const [chosen, choose] = useState<'group' | 'prefix'>()
  const by = chosen ?? (controller.store.groups.size > 0 ? 'group' : 'prefix')
  // Counted anew every two seconds: numbers that flicker are not read.
  const moment = Math.floor(Date.now() / 2000)
  const found = useMemo(() => statistics(rowsOf(controller), by), [by, moment, controller.list.loaded])
  return (
    <section class='statistics card' aria-label='Statistics'>
      <header>
        <h2>Kept tasks by</h2>
        <div role='group' aria-label='Statistics by' class='switch'>
          {(['group', 'prefix'] as const).map((each) => (
            <button type='button' key={each} aria-pressed={each === by} onClick={() => choose(each)}>{each === 'group' ? 'group' : 'name'}</button>
          ))}
        </div>
      </header>
      <div class='scroll' tabIndex={0} role='region' aria-label='Statistics table'>
        <table>
          <thead>
            <tr>
              <th scope='col'>{TITLES[by]}</th><th scope='col'>Live</th><th scope='col'>Ended</th><th scope='col'>Failed</th>
              <th scope='col'>Median</th><th scope='col'>p95</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, MOST).map(({ label, live, ended, failed, median, p95 }) => (
              <tr key={label ?? ''}>
                <th scope='row'>
                  {label === undefined
                    ? <span class='quiet'>{by === 'group' ? 'no group' : 'others'}</span>
                    : (
                      <button type='button' class='link' title={safeName(label)} onClick={() => controller.navigation.go({ filter: { ...controller.place.filter, [by]: label } })}>
                        <Name name={label} />{by === 'prefix' && '*'}
                      </button>
                      )}
                </th>
                <td>{count(live)}</td>
                <td>{count(ended)}</td>
                <td class={failed > 0 ? 'alarm' : undefined}>{percent(failed, ended)}</td>
                <td>{median === undefined ? '–' : duration(median)}</td>
                <td>{p95 === undefined ? '–' : duration(p95)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {found.length === 0 && <p class='quiet'>{controller.list.loaded ? 'No tasks yet.' : 'Loading…'}</p>}
        {found.length > MOST && <p class='quiet'>… and {count(found.length - MOST)} more</p>}
      </div>
    </section>
  )
}

function * rowsOf ({ store }: Controller): Generator<Row> {
  for (const row of store.rows.values()) if (!row.gone) yield row
}
