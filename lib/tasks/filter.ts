import type { TaskFilter } from '../../types/task'
import { FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_INVALID_OPTION } from '../shared/errors'
import { checkOptions, formatValue, nonEmptyString, type OptionChecks } from '../shared/option-checks'
import { checkObject } from './options'
import { STATES } from '../shared/control-backend'
import { Task } from './task'

const isState = (value: unknown): boolean => (STATES as readonly unknown[]).includes(value)

const FILTER: OptionChecks = {
  group: nonEmptyString,
  state: [
    `one or a list of ${STATES.map((state) => `'${state}'`).join(', ')}`,
    (value) => Array.isArray(value) ? value.length > 0 && value.every(isState) : isState(value)
  ],
  prefix: nonEmptyString
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT, FST_ERR_TASK_INVALID_OPTION naming the member that is wrong or unknown */
export function checkFilter (filter: TaskFilter): TaskFilter {
  checkObject('filter', filter)
  checkOptions(filter, FILTER, FST_ERR_TASK_INVALID_OPTION)
  return filter
}

/** @throws FST_ERR_TASK_INVALID_ARGUMENT also for a filter that every task matches */
export function checkNarrowingFilter (filter: TaskFilter): TaskFilter {
  const { group, state, prefix } = checkFilter(filter)
  if (group === undefined && state === undefined && prefix === undefined) {
    throw new FST_ERR_TASK_INVALID_ARGUMENT('filter', "one with a group, a state or a prefix ({ state: ['pending', 'running'] } for all)", formatValue(filter))
  }
  return { group, state, prefix }
}

/** Whether the task matches, its group apart. */
export function matches (task: Task, { state, prefix }: TaskFilter): boolean {
  return (state === undefined || state === STATES[Task.stateOf(task)] || (Array.isArray(state) && state.includes(STATES[Task.stateOf(task)]))) &&
    (prefix === undefined || Task.nameOf(task).startsWith(prefix))
}
