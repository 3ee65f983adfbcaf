import { STATES, type State } from './snapshot'
import { DEFAULT_SORT, NO_FILTER, SORT_COLUMNS, startsDescending, type Filter, type Sort, type SortColumn } from './view'

/** What of the page stands in its address, so that a view can be reloaded and sent to a colleague. */
export interface Place {
  tab: 'tasks' | 'jobs'
  filter: Filter
  sort: Sort
  /** The task whose panel is open. */
  task?: string
  /** The process of that task, when its name alone does not tell it. */
  taskProcess?: string
}

const OWN = ['tab', 'q', 'state', 'group', 'prefix', 'process', 'sort', 'task', 'in']

export function readPlace (search: string): Place {
  const query = new URLSearchParams(search)
  const text = (key: string): string => query.get(key) ?? ''
  const state = text('state')
  const [by, direction] = text('sort').split('.')
  return {
    tab: text('tab') === 'jobs' ? 'jobs' : 'tasks',
    filter: {
      q: text('q'),
      state: state === 'live' || state === 'ended' || STATES.includes(state as State) ? state as Filter['state'] : '',
      group: text('group'),
      prefix: text('prefix'),
      process: text('process')
    },
    sort: SORT_COLUMNS.includes(by as SortColumn) ? { by: by as SortColumn, descending: direction === 'desc' } : DEFAULT_SORT,
    task: query.get('task') ?? undefined,
    taskProcess: query.get('in') ?? undefined
  }
}

/** @returns the query, with what in it is not the page's own left as it was; `''` for the page as it begins */
export function writePlace (place: Place, search: string): string {
  const query = new URLSearchParams(search)
  for (const key of OWN) query.delete(key)
  if (place.tab !== 'tasks') query.set('tab', place.tab)
  for (const [key, value] of Object.entries(place.filter)) if (value !== '') query.set(key, value)
  const { by, descending } = place.sort
  if (by !== DEFAULT_SORT.by || descending !== DEFAULT_SORT.descending) query.set('sort', descending ? `${by}.desc` : by)
  if (place.task !== undefined) query.set('task', place.task)
  if (place.taskProcess !== undefined) query.set('in', place.taskProcess)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

export const isFiltered = (filter: Filter): boolean => Object.entries(filter).some(([key, value]) => value !== NO_FILTER[key as keyof Filter])

/** What a click on the head of a column sorts by: that column, then the other way round, then as at first. */
export function nextSort (sort: Sort, by: SortColumn): Sort {
  if (sort.by !== by) return { by, descending: startsDescending(by) }
  return sort.descending === startsDescending(by) ? { by, descending: !sort.descending } : DEFAULT_SORT
}
