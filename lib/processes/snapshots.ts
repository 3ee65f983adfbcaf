import { EVENTS, STATES, type ControlEvent, type Snapshot } from '../shared/control-backend'
import { integer, isObjectOf, nonEmptyString, text, type OptionCheck, type OptionChecks } from '../shared/option-checks'
import type { ProcessIdentity } from '../../types/process'

/** A progress of more characters than this, or nested deeper, is not sent; neither is a stack of that size. */
const MAX_PART = 2 ** 16
const MAX_DEPTH = 32

const time = integer(0, Number.MAX_SAFE_INTEGER)
const described: OptionCheck = ['an error', (value) => isObjectOf(value, { code: text, message: text, stack: text })]

const PARTS: OptionChecks = {
  name: nonEmptyString,
  group: nonEmptyString,
  state: ['a state', (value) => STATES.includes(value)],
  createdAt: time,
  startedAt: time,
  endedAt: time,
  progress: ['progress', (value) => typeof value === 'number' ? value >= 0 && value <= 100 : isShallowObject(value)],
  lease: ['a lease', (value) => isObjectOf(value, { ttl: time, remaining: integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) })],
  reason: described,
  error: described
}

/** A snapshot as JSON for another process. The text of errors is sent only if another process may expose it. */
export function writeSnapshot (snapshot: Snapshot, exposeErrors: boolean): string {
  const { progress, process: _process, error, reason, ...rest } = snapshot as Snapshot & { reason?: Described }
  const sent = { ...rest, error: sentError(error, exposeErrors), reason: sentError(reason, exposeErrors) }
  const part = progress === undefined ? undefined : writeProgress(progress)
  return part === undefined ? JSON.stringify(sent) : `${JSON.stringify(sent).slice(0, -1)},"progress":${part}}`
}

/** The valid parts of a snapshot from another process. Which process it belongs to is known from its sender, not from the text. */
export function readSnapshot (value: unknown, { id, pid, hostname }: ProcessIdentity): Snapshot | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const snapshot: Record<string, unknown> = {}
  for (const part in PARTS) {
    const found = (value as Record<string, unknown>)[part]
    if (found !== undefined && PARTS[part][1](found)) snapshot[part] = found
  }
  if (snapshot.name === undefined || snapshot.state === undefined || snapshot.createdAt === undefined) return undefined
  return { ...snapshot, process: { id, pid, hostname } } as Snapshot
}

export function isEvent (value: unknown): value is ControlEvent {
  return EVENTS.includes(value as never)
}

type Described = { code?: string, message?: string, stack?: string }

function sentError (error: Described | undefined, exposeErrors: boolean): Described | undefined {
  if (error === undefined) return undefined
  const code = error.code?.slice(0, MAX_PART)
  if (!exposeErrors) return { code }
  const { message, stack } = error
  return { code, message: message?.slice(0, MAX_PART), stack: stack?.slice(0, MAX_PART) }
}

function writeProgress (progress: unknown): string | undefined {
  const json = JSON.stringify(progress)
  return json.length <= MAX_PART ? json : undefined
}

function isShallowObject (value: unknown, depth = MAX_DEPTH): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isShallow(value, depth)
}

function isShallow (value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((part) => isShallow(part, depth - 1))
}
