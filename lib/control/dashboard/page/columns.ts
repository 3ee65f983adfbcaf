import type { SortColumn } from './model/view'

export interface Column { id: Exclude<SortColumn, 'attention'>, label: string, number?: true }

/** What is shown of a job. The server lists them the newest first, so they are not sorted here. */
export const JOB_COLUMNS: Array<Omit<Column, 'id'> & { id: string }> = [
  { id: 'name', label: 'Name' },
  { id: 'state', label: 'State' },
  { id: 'kind', label: 'Kind' },
  { id: 'queue', label: 'Queue' },
  { id: 'attempts', label: 'Attempts', number: true },
  { id: 'added', label: 'Added', number: true },
  { id: 'duration', label: 'Duration', number: true },
  { id: 'progress', label: 'Progress' },
  { id: 'lease', label: 'Lease' },
  { id: 'outcome', label: 'Outcome' }
]

/** What can be sorted by, in the order shown. */
export const COLUMNS: Column[] = [
  { id: 'name', label: 'Name' },
  { id: 'state', label: 'State' },
  { id: 'group', label: 'Group' },
  { id: 'process', label: 'Process' },
  { id: 'added', label: 'Added', number: true },
  { id: 'duration', label: 'Duration', number: true },
  { id: 'progress', label: 'Progress' },
  { id: 'lease', label: 'Lease' },
  { id: 'outcome', label: 'Outcome' }
]

/**
 * How the list is laid out, by its own width: a table with all columns; rows of two lines; cards.
 * The height of a row is known before it is drawn: 20,000 cannot be measured.
 */
export const LAYOUTS = {
  wide: { from: 1_060, height: 44 },
  medium: { from: 640, height: 62 },
  narrow: { from: 0, height: 104 }
}

export type Layout = keyof typeof LAYOUTS

/** The columns that have anything to show. */
export function columnsFor ({ group, process }: { group: boolean, process: boolean }): Column[] {
  return COLUMNS.filter(({ id }) => (id !== 'group' || group) && (id !== 'process' || process))
}

export function layoutFor (width: number): Layout {
  return width >= LAYOUTS.wide.from ? 'wide' : width >= LAYOUTS.medium.from ? 'medium' : 'narrow'
}
