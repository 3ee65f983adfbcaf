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
  wide: { height: 44 },
  medium: { height: 62 },
  narrow: { height: 104 }
}

export type Layout = keyof typeof LAYOUTS

/** The columns that have anything to show. */
export function columnsFor ({ group, process }: { group: boolean, process: boolean }): Column[] {
  return COLUMNS.filter(({ id }) => (id !== 'group' || group) && (id !== 'process' || process))
}

/** How wide the columns are at least, in px: a table that is wider than its place would lose its last ones. */
export function tableWidth (served: 'tasks' | 'jobs', shown: { group: boolean, process: boolean }): number {
  return served === 'jobs' ? 1_190 : 1_040 + (shown.group ? 90 : 0) + (shown.process ? 98 : 0)
}

export function layoutFor (width: number, table: number): Layout {
  return width >= table ? 'wide' : width >= 640 ? 'medium' : 'narrow'
}
