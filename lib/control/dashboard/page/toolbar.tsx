import type { JSX } from 'preact'
import { useMemo } from 'preact/hooks'
import type { Acts } from './acts'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { count, plural } from './model/format'
import { isFiltered } from './model/location'
import { safeName } from './model/names'
import { endedOf, liveOf, liveStatesOf } from './model/snapshot'
import { NO_FILTER, startsDescending, type Filter, type SortColumn } from './model/view'
import { COLUMNS } from './columns'

const STATES: Array<[Filter['state'], string]> = [
  ['', 'All states'], ['live', 'Live'], ['ended', 'Ended'], ['pending', 'Pending'], ['running', 'Running'], ['cancelling', 'Cancelling'],
  ['completed', 'Completed'], ['failed', 'Failed'], ['cancelled', 'Cancelled']
]

/** A list to choose from ends somewhere: more are reached through the statistics and the address. */
const MOST_GROUPS = 100

interface ToolbarProps { controller: Controller, acts: Acts }

export function Toolbar ({ controller, acts }: ToolbarProps): JSX.Element {
  useEmitters(controller.onPlace, controller.onNumbers)
  const { place: { filter }, store, view, live, counts, noun, paged } = controller
  const set = (change: Partial<Filter>): void => controller.navigation.go({ filter: { ...filter, ...change } })
  const matching = paged ? liveOf(counts) : acts.matching
  const ended = endedOf(counts)
  const onlyEnded = liveStatesOf(filter.state).length === 0
  // While the list is paused, it may show what has been purged.
  const total = Math.max(liveOf(counts) + ended, view.rows.length)
  return (
    <section class='toolbar' aria-label='Filter and acts'>
      <div class='filters'>
        <input
          id='search' type='search' placeholder='Search names' aria-label='Search names' value={filter.q} maxLength={1000}
          onInput={({ currentTarget }) => set({ q: currentTarget.value })}
        />
        <select id='filter' aria-label='State' value={filter.state} onChange={({ currentTarget }) => set({ state: currentTarget.value as Filter['state'] })}>
          {STATES.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
        </select>
        <GroupSelect controller={controller} set={set} />
        <ProcessSelect controller={controller} set={set} />
        {!paged && <SortSelect controller={controller} />}
      </div>
      <div class='acts'>
        <button type='button' id='pause' aria-pressed={store.paused} onClick={() => controller.setPaused(!store.paused)}>
          {store.paused ? 'Resume' : 'Pause'}
        </button>
        <button
          type='button' id='cancel-matching' disabled={!live || onlyEnded || matching === 0}
          title={onlyEnded ? `The filter shows ended ${noun}s only: they cannot be cancelled` : undefined} onClick={() => { acts.cancelMatching() }}
        >
          {isFiltered(filter) ? 'Cancel matching…' : 'Cancel all…'}
        </button>
        <button type='button' id='purge' disabled={!live || ended === 0} onClick={() => { acts.purge() }}>Purge ended</button>
      </div>
      <p class='hits'>
        <span id='hits' role='status'>
          {!controller.list.loaded ? '' : view.rows.length === total && !isFiltered(filter) ? plural(total, noun) : `${count(view.rows.length)} of ${plural(total, noun)}`}
        </span>
        {paged && <Pager controller={controller} />}
        {store.paused && <strong class='paused'>List paused</strong>}
        {filter.prefix !== '' && <Chip label={`Name begins with ${safeName(filter.prefix)}`} remove={() => set({ prefix: '' })} />}
        {isFiltered(filter) && <button type='button' class='link' onClick={() => set(NO_FILTER)}>Show all</button>}
      </p>
    </section>
  )
}

/** For lists without heads to click on. */
function SortSelect ({ controller }: { controller: Controller }): JSX.Element {
  const { sort } = controller.place
  const choose = (by: SortColumn): void => controller.navigation.go({ sort: { by, descending: startsDescending(by) } })
  return (
    <label class='sort'>
      <span>Sort by</span>
      <select id='sort' value={sort.by} onChange={({ currentTarget }) => choose(currentTarget.value as SortColumn)}>
        <option value='attention'>Live and failed first</option>
        {COLUMNS.map(({ id, label }) => <option key={id} value={id}>{label}</option>)}
      </select>
      <button type='button' class='plain' aria-label='Reverse the order' onClick={() => controller.navigation.go({ sort: { ...sort, descending: !sort.descending } })}>
        {sort.descending ? '↓' : '↑'}
      </button>
    </label>
  )
}

function Pager ({ controller }: { controller: Controller }): JSX.Element {
  const { pageNumber, hasNext } = controller.list
  return (
    <span class='pager'>
      <button type='button' class='link' disabled={pageNumber === 1} onClick={() => controller.previousPage()}>Newer</button>
      <span>page {count(pageNumber)}</span>
      <button type='button' class='link' disabled={!hasNext} onClick={() => controller.nextPage()}>Older</button>
    </span>
  )
}

function Chip ({ label, remove }: { label: string, remove: () => void }): JSX.Element {
  return <span class='chip'>{label} <button type='button' class='plain' aria-label={`Remove: ${label}`} onClick={remove}>✕</button></span>
}

type SelectProps = { controller: Controller, set: (change: Partial<Filter>) => void }

function GroupSelect ({ controller: { store, place: { filter } }, set }: SelectProps): JSX.Element | null {
  const groups = useMemo(() => largest(store.groups, filter.group), [store.groups.size, filter.group])
  if (groups.length === 0) return null
  return (
    <select id='group' aria-label='Group' value={filter.group} onChange={({ currentTarget }) => set({ group: currentTarget.value })}>
      <option value=''>All groups</option>
      {groups.map((group) => <option key={group} value={group}>{safeName(group)}</option>)}
    </select>
  )
}

function largest (groups: Map<string, number>, chosen: string): string[] {
  const found = Array.from(groups).sort((a, b) => b[1] - a[1]).slice(0, MOST_GROUPS).map(([group]) => group).sort()
  return chosen === '' || found.includes(chosen) ? found : [chosen, ...found]
}

function ProcessSelect ({ controller, set }: SelectProps): JSX.Element | null {
  const { list: { processes }, place: { filter } } = controller
  if (processes.size < 2 && filter.process === '') return null
  return (
    <select id='process' aria-label='Process' value={filter.process} onChange={({ currentTarget }) => set({ process: currentTarget.value })}>
      <option value=''>All processes</option>
      {filter.process !== '' && !processes.has(filter.process) && <option value={filter.process}>{filter.process}</option>}
      {Array.from(processes.values(), ({ id, hostname, pid }) => <option key={id} value={id}>{hostname} · {pid}</option>)}
    </select>
  )
}
