import type { FastifyBaseLogger, FastifyError } from 'fastify'
import { STATES, type ControlBackend, type ControlFilter, type ListQuery } from '../shared/control-backend'
import { FST_ERR_TASK_NOT_FOUND, FST_ERR_TASK_NOT_LIVE, FST_ERR_TASK_NO_LEASE } from '../shared/errors'
import { boolean, integer, isObjectOf, text, type OptionCheck, type OptionChecks } from '../shared/option-checks'
import { logThrown } from '../shared/thrown'
import type { Outbox } from './outbox'
import { MAX_MESSAGE, TOPICS, type Message } from './messages'
import { writeSnapshot } from './snapshots'

/** No answer is larger: eight processes that answer at once do not fill the buffers of a server between them. */
const MAX_ANSWER = MAX_MESSAGE / 4
/** Larger values are not sent. */
const MAX_ENTRY = MAX_MESSAGE / 2 - 1_000

const listOf = (accepts: (value: unknown) => boolean): OptionCheck => ['a list', (value) => Array.isArray(value) && value.every(accepts)]

const FILTER: OptionChecks = {
  states: listOf((state) => STATES.includes(state as never)),
  group: text,
  prefix: text,
  q: text,
  names: listOf(text[1])
}

/** An empty filter, or an empty part of it, would match all tasks. */
const narrows = (parts: Array<string | unknown[]>): boolean => parts.length > 0 && parts.every(({ length }) => length > 0)

type Args = Record<string, any>

interface Operation {
  args: OptionChecks
  required: string[]
  /** Takes up to `cancelTimeout`: says first that it is at work. */
  waits?: true
  /** @returns JSON, or `undefined` when the request does not concern this process */
  run (own: ControlBackend, args: Args, options: ResponderOptions): string | undefined | Promise<string | undefined>
}

/** What another process may ask for: what the routes allow, and nothing else. */
const OPERATIONS: Record<string, Operation> = {
  list: {
    args: { ...FILTER, limit: integer(1, 1_000), after: ['an object', isObjectOfText], exposes: boolean },
    required: ['limit'],
    run: list
  },
  summary: {
    args: {},
    required: [],
    async run (own) {
      const { counts, groups, process } = await own.summary()
      return JSON.stringify({ counts, process, groups: fitting(groups) })
    }
  },
  get: {
    args: { name: text, exposes: boolean },
    required: ['name'],
    run: async (own, { name, exposes }) => writeSnapshot(await own.get(name), exposes)
  },
  cancel: {
    args: { name: text, exposes: boolean },
    required: ['name'],
    waits: true,
    run: async (own, { name, exposes }) => writeSnapshot(await own.cancel(name), exposes)
  },
  cancelAll: {
    args: { filter: ['a filter', (value) => isObjectOf(value, FILTER) && narrows(Object.values(value))], reason: text },
    required: ['filter'],
    waits: true,
    async run (own, { filter, reason }) {
      const { cancelled, remaining } = await own.cancelAll(filter as ControlFilter, reason)
      return JSON.stringify({ cancelled, remaining: fitting(remaining) })
    }
  },
  heartbeat: {
    args: { name: text },
    required: ['name'],
    async run (own, { name }) {
      await own.heartbeat(name)
      return 'null'
    }
  },
  purge: {
    args: {},
    required: [],
    run: async (own) => JSON.stringify({ purged: (await own.purge()).purged })
  },
  sequence: {
    args: {},
    required: [],
    run: (_own, _args, { sequence }) => JSON.stringify(sequence() ?? null)
  }
}

interface ResponderOptions {
  id: string
  own: ControlBackend
  outbox: Outbox
  /** In ms: how long a cancel may take. */
  cancelTimeout: number
  /** The number of the last message of events, if another process listens. */
  sequence: () => number | undefined
  log: FastifyBaseLogger
}

/** Does what other processes ask of this one. */
export class Responder {
  constructor (private readonly options: ResponderOptions) {}

  receive ({ from, items }: Message, isLate: (timeout: number) => boolean): void {
    for (const item of items) {
      if (!Array.isArray(item)) continue
      const [id, name, args, timeout] = item as [number, string, Args, number]
      if (!Number.isSafeInteger(id) || !Number.isSafeInteger(timeout) || !Object.hasOwn(OPERATIONS, name)) continue
      const operation = OPERATIONS[name]
      if (!isObjectOf(args, operation.args) || operation.required.some((arg) => !Object.hasOwn(args, arg))) continue
      // By now the caller was told that this process did not answer.
      if (isLate(timeout)) continue
      this.answer(TOPICS.of(from), id, operation, args)
    }
  }

  private async answer (topic: string, id: number, { run, waits }: Operation, args: Args): Promise<void> {
    const { outbox, own, cancelTimeout, log } = this.options
    if (waits === true) outbox.push(topic, 'answer', `[${id},"working",${cancelTimeout}]`)
    try {
      const json = await run(own, args, this.options)
      if (json === undefined) return
      if (json.length > MAX_MESSAGE / 2) throw new RangeError('The answer is too large to cross')
      outbox.push(topic, 'answer', `[${id},"ok",${json}]`)
    } catch (error) {
      outbox.push(topic, 'answer', `[${id},${statusOf(error)}]`)
      // A mistake of the other process, or of its client, is reported there.
      if (((error as FastifyError).statusCode ?? 500) >= 500) logThrown(log, error, 'A request of another process failed', {}, 'warn')
    }
  }
}

async function list (own: ControlBackend, { after, exposes, ...query }: Args, { id }: ResponderOptions): Promise<string | undefined> {
  // The walk began before this process started.
  if (after !== undefined && !Object.hasOwn(after, id)) return undefined
  const cursor = after?.[id] === '' ? undefined : after?.[id]
  const page = await own.list({ ...query, after: cursor } as ListQuery)
  const texts: string[] = []
  const cursors: string[] = []
  let { next } = page
  let size = 0
  for (const [index, task] of page.tasks.entries()) {
    const json = writeSnapshot(task, exposes)
    // Omitted: it would otherwise hide all older tasks.
    if (json.length > MAX_ENTRY) continue
    if (texts.length > 0 && size + json.length > MAX_ANSWER) {
      next = page.cursors![index - 1]
      break
    }
    texts.push(json)
    cursors.push(page.cursors![index])
    size += json.length
  }
  return `{"tasks":[${texts.join()}],${JSON.stringify({ cursors, next }).slice(1)}`
}

/** The first of a list, as far as an answer has room for them. */
function fitting<T> (list: T[]): T[] {
  let size = 0
  const end = list.findIndex((item) => (size += JSON.stringify(item).length) > MAX_ANSWER)
  return end < 0 ? list : list.slice(0, end)
}

function isObjectOfText (value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.values(value).every((part) => typeof part === 'string')
}

function isRefusal (error: unknown): boolean {
  return error instanceof FST_ERR_TASK_NOT_FOUND || error instanceof FST_ERR_TASK_NOT_LIVE || error instanceof FST_ERR_TASK_NO_LEASE
}

function statusOf (error: unknown): string {
  if (error instanceof FST_ERR_TASK_NOT_FOUND) return '"none"'
  return isRefusal(error) ? `"refused",${JSON.stringify([(error as Error & { code: string }).code, (error as Error).message])}` : '"failed"'
}
