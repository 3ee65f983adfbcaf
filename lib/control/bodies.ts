import type { TaskState } from '../../types/task'
import { STATES, type ControlFilter } from '../shared/control-backend'
import { FST_ERR_TASK_INVALID_BODY } from '../shared/errors'
import { formatValue, integer, type OptionCheck, type OptionChecks } from '../shared/option-checks'
import { redactText } from '../shared/redaction'

// The bodies of the routes that act. Checked here and not by a validator: Fastify's removes members that it does not know, and
// a misspelt member of a filter would cancel more than was meant.

const text = (max = Infinity): OptionCheck => [
  max === Infinity ? 'a non-empty string' : `a string of 1 to ${max} characters`,
  (value) => typeof value === 'string' && value !== '' && value.length <= max
]
const isState = (value: unknown): boolean => STATES.includes(value as never)
const isList = (value: unknown, max: number): value is unknown[] => Array.isArray(value) && value.length > 0 && value.length <= max

/** The members of a filter. At least one is required: an empty filter would match all tasks. */
const NARROWING: OptionChecks = {
  group: text(),
  state: [`one or several of ${STATES.join(', ')}`, (value) => isState(value) || (isList(value, STATES.length) && value.every(isState))],
  prefix: text(),
  // It is looked for in each name, in lower case.
  q: text(1_000),
  names: ['a list of 1 to 1000 strings', (value) => isList(value, 1_000) && value.every((name) => typeof name === 'string')]
}

const PROCESS: OptionChecks = { process: text() }
const CANCEL: OptionChecks = { ...NARROWING, ...PROCESS, reason: text(1_000) }
const QUEUE: OptionChecks = { queue: text() }
const ADD: OptionChecks = { kind: text(1_000), data: ['anything', () => true], name: text(1_000), ttl: integer(1, undefined, ' (ms)') }

/** @throws FST_ERR_TASK_INVALID_BODY naming the member that is wrong or unknown */
function check (body: unknown, checks: OptionChecks): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new FST_ERR_TASK_INVALID_BODY('it must be a JSON object')
  for (const [member, value] of Object.entries(body)) {
    if (!Object.hasOwn(checks, member)) throw new FST_ERR_TASK_INVALID_BODY(`${formatValue(member)} must be one of ${Object.keys(checks).join(', ')}`)
    const [expected, accepts] = checks[member]
    if (!accepts(value)) throw new FST_ERR_TASK_INVALID_BODY(`'${member}' must be ${expected}, got ${redactText(formatValue(value))}`)
  }
  return body as Record<string, unknown>
}

function readQuery (query: unknown): Record<string, unknown> {
  const { process } = query as { process?: unknown }
  return process === undefined ? {} : check({ process }, PROCESS)
}

/**
 * Of the routes that take nothing else: what another member was to narrow would be done in full.
 * @throws FST_ERR_TASK_INVALID_BODY
 */
export function readProcess (body: unknown, query: unknown): string | undefined {
  return { ...readQuery(query), ...check(body ?? {}, PROCESS) }.process as string | undefined
}

/** @throws FST_ERR_TASK_INVALID_BODY also when nothing says which tasks are meant */
export function readCancelBody (body: unknown, query: unknown): { filter: ControlFilter, reason: string | undefined } {
  const { reason, state, ...filter } = { ...readQuery(query), ...check(body, CANCEL) }
  const members = Object.keys(NARROWING)
  if (!Object.keys(body as object).some((member) => members.includes(member))) {
    throw new FST_ERR_TASK_INVALID_BODY(`at least one of ${members.join(', ')} must say which tasks to cancel`)
  }
  return { filter: { ...filter, states: state === undefined ? undefined : [state].flat() as TaskState[] }, reason: reason as string | undefined }
}

/** @throws FST_ERR_TASK_INVALID_BODY */
export function readQueueBody (body: unknown): { queue?: string } {
  return check(body ?? {}, QUEUE)
}

/** @throws FST_ERR_TASK_INVALID_BODY; the data is checked by the schema of its kind */
export function readAddBody (body: unknown): { kind: string, data?: unknown, name?: string, ttl?: number } {
  const { kind, ...rest } = check(body, ADD)
  if (kind === undefined) throw new FST_ERR_TASK_INVALID_BODY("'kind' must say which kind of job to add")
  return { kind: kind as string, ...rest }
}
