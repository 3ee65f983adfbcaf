import { timers } from '../shared/timers'

/** The most characters of a message, in both directions. */
export const MAX_MESSAGE = 2 ** 20

/** The version is a part of the topic: processes with different versions do not receive each other's messages. */
const ROOT = 'fastify-tasks/1'

export const TOPICS = {
  all: `${ROOT}/all`,
  /** Subscribed to by processes with a listener. */
  events: `${ROOT}/events`,
  of: (id: string) => `${ROOT}/to/${id}`
}

/**
 * - `beat`: the process is there
 * - `bye`: it has closed
 * - `ask`, `answer`: requests, and what came of them
 * - `events`: what has happened to its tasks
 */
export type MessageKind = 'beat' | 'bye' | 'ask' | 'answer' | 'events'

export interface Message {
  kind: MessageKind
  /** The id of the process that has sent it. */
  from: string
  /** When, in ms of the sender's own monotonic clock. */
  at: number
  /** Not validated. */
  items: unknown[]
}

const KINDS: readonly unknown[] = ['beat', 'bye', 'ask', 'answer', 'events']
// No character that is special in a topic.
const ID = /^[\w-]{1,64}$/

/** @returns a message of items that are JSON already */
export function encode (kind: MessageKind, from: string, items: string[]): string {
  return `{"kind":"${kind}","from":"${from}","at":${Math.round(timers.now())},"items":[${items.join()}]}`
}

/** @returns `undefined` for an invalid message: anybody may publish on the topic */
export function decode (payload: unknown): Message | undefined {
  if (typeof payload !== 'string' || payload.length > MAX_MESSAGE) return undefined
  try {
    const { kind, from, at, items } = JSON.parse(payload) as Partial<Record<keyof Message, unknown>>
    if (KINDS.includes(kind) && typeof from === 'string' && ID.test(from) && Number.isSafeInteger(at) && Array.isArray(items)) {
      return { kind, from, at, items } as Message
    }
  } catch {} // No JSON, or `null`.
  return undefined
}
