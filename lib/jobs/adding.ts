import { randomUUID } from 'node:crypto'
import type { JobOptions } from '../../types/job'
import { FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_UNKNOWN_KIND } from '../shared/errors'
import { omitUndefined } from '../shared/option-checks'
import { checkSize, checkTexts, copyData } from './data'
import type { Engine, Queue } from './engine'
import type { Expiries } from './expiries'
import { heldKeys, isHeld } from './held-names'
import type { Kinds } from './kinds'
import { keyOf, mayAddAgain } from './names'
import { checkJobOptions } from './options'
import type { Payload, Stored } from './serialization'
import type { TransactionClient } from './transactions'

/** Jobs of one request. PostgreSQL takes a lock for each name, and has room for some thousands. */
const SLICE = 250

/** A job that may be stored, as BullMQ takes it. */
export interface Draft {
  queue: string
  kind: string
  payload: Payload
  options: { jobId: string, deduplication: { id: string } }
  /** Where it is to be stored, if not by itself. */
  transaction?: TransactionClient
}

/** Stores jobs, each under a name that no live one of its queue has. */
export class Adder {
  readonly #engine: Engine
  readonly #kinds: Pick<Kinds, 'get'>
  readonly #expiries: Expiries

  constructor (engine: Engine, kinds: Pick<Kinds, 'get'>, expiries: Expiries) {
    this.#engine = engine
    this.#kinds = kinds
    this.#expiries = expiries
  }

  /** @throws what is wrong with the job; then nothing is stored */
  draft (kind: string, data: unknown, jobOptions?: JobOptions): Draft {
    const { name = `job-${randomUUID()}`, ttl, ...engineOptions } = checkJobOptions(jobOptions)
    const defined = this.#kinds.get(kind)
    if (defined === undefined) throw new FST_ERR_JOB_UNKNOWN_KIND(String(kind))
    const { schema, timeout, queue, onClose, expiresIn, sizeLimit, transaction, ...rest } = { ...defined.options, ...engineOptions }
    const copy = copyData(kind, data)
    defined.validate?.(copy)
    checkSize(kind, copy, sizeLimit)
    if (this.#engine.isPostgres) checkTexts({ data: copy, telemetry: rest.telemetry })
    const expiresAt = expiresIn === undefined ? undefined : Date.now() + (rest.delay ?? 0) + expiresIn
    return { queue, kind, transaction, payload: { name, data: copy, ...omitUndefined({ ttl, expiresAt }) }, options: { ...rest, jobId: randomUUID(), deduplication: { id: keyOf(name) } } }
  }

  /** @throws FST_ERR_JOB_NAME_IN_USE, FST_ERR_JOB_ENGINE_UNAVAILABLE */
  async add (draft: Draft): Promise<Stored> {
    const { queue, kind, payload, options, transaction } = draft
    const expiring = expiringOf([draft])
    const since = Date.now()
    const add = async (engineQueue: Queue): Promise<Stored> => {
      await this.#expiries.mark(engineQueue, expiring)
      try {
        const first = await engineQueue.add(kind, payload, options)
        // The name of a job that has ended is free, even where its key was left.
        const stored = first.id !== options.jobId && await this.#mayAddAgain(draft, engineQueue, first.id!, since) ? await engineQueue.add(kind, payload, options) : first
        if (stored.id === options.jobId) return stored
      } catch (error) {
        if (!isHeld(error)) throw error
      }
      throw new FST_ERR_JOB_NAME_IN_USE(payload.name)
    }
    try {
      const stored = await (transaction === undefined ? this.#engine.request(queue, add) : this.#engine.requestWithin(transaction, queue, add))
      this.#expiries.wakeFor(expiring)
      return stored
    } catch (error) {
      if (transaction === undefined && error instanceof FST_ERR_JOB_NAME_IN_USE) this.#unmark(draft)
      throw error
    }
  }

  #unmark ({ queue, options, payload }: Draft): void {
    this.#expiries.unmark(queue, { id: options.jobId, data: payload })
  }

  async #mayAddAgain ({ queue, payload: { name }, transaction }: Draft, engineQueue: Queue, holder: string, since: number): Promise<boolean> {
    // Within a transaction none is ended: it might be rolled back.
    const wasOverdue = transaction === undefined && await this.#expiries.endNow(queue, holder)
    return wasOverdue || mayAddAgain(engineQueue, name, holder, since)
  }

  /** Of jobs of one kind each, or why it was not stored, in the same order. */
  async addAll (drafts: Draft[]): Promise<Array<PromiseSettledResult<Stored>>> {
    const results = new Map<Draft, PromiseSettledResult<Stored>>()
    const own = drafts.filter(({ transaction }) => transaction === undefined)
    // One after the other: they run in their order.
    for (let i = 0; i < own.length; i += SLICE) {
      const slice = own.slice(i, i + SLICE)
      const settled = await this.#addSlice(slice)
      slice.forEach((draft, j) => results.set(draft, settled[j]))
    }
    // Each in the transaction of its caller.
    for (const draft of drafts) if (draft.transaction !== undefined) results.set(draft, await this.#settle(draft))
    return drafts.map((draft) => results.get(draft)!)
  }

  async #addSlice (slice: Draft[]): Promise<Array<PromiseSettledResult<Stored>>> {
    try {
      const jobs = slice.map(({ kind, payload, options }) => ({ name: kind, data: payload, opts: options }))
      const expiring = expiringOf(slice)
      const stored: Stored[] | Set<string> = await this.#engine.request(slice[0].queue, async (engineQueue) => {
        await this.#expiries.mark(engineQueue, expiring)
        return engineQueue.addBulk(jobs).catch((error) => {
          if (!isHeld(error)) throw error
          return heldKeys(engineQueue, slice.map(({ options }) => options.deduplication.id))
        })
      })
      if (stored instanceof Set) return await this.#addBeside(stored, slice)
      this.#expiries.wakeFor(expiring)
      return await Promise.all(slice.map(async (draft, i): Promise<PromiseSettledResult<Stored>> => {
        if (stored[i].id === draft.options.jobId) return { status: 'fulfilled', value: stored[i] }
        // Within the list too a name is that of the first alone.
        return this.#settle(draft)
      }))
    } catch (reason) {
      return slice.map(() => ({ status: 'rejected', reason }))
    }
  }

  /** Of the slice nothing was stored: somebody holds a name of it, or these. */
  async #addBeside (held: Set<string>, slice: Draft[]): Promise<Array<PromiseSettledResult<Stored>>> {
    if (held.size === 0) return Promise.all(slice.map((draft) => this.#settle(draft)))
    const isHeld = ({ options }: Draft): boolean => held.has(options.deduplication.id)
    const others = slice.filter((draft) => !isHeld(draft))
    const settled = others.length === 0 ? [] : await this.#addSlice(others)
    return slice.map((draft) => {
      if (!isHeld(draft)) return settled.shift()!
      this.#unmark(draft)
      return { status: 'rejected', reason: new FST_ERR_JOB_NAME_IN_USE(draft.payload.name) }
    })
  }

  async #settle (draft: Draft): Promise<PromiseSettledResult<Stored>> {
    return (await Promise.allSettled([this.add(draft)]))[0]
  }
}

function expiringOf (drafts: Draft[]): Array<{ id: string, expiresAt: number }> {
  return drafts.flatMap(({ options: { jobId: id }, payload: { expiresAt } }) => expiresAt === undefined ? [] : [{ id, expiresAt }])
}
