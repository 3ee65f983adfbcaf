import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type * as api from '../../types/job'
import { EVENTS } from '../shared/control-backend'
import { callListeners } from '../shared/listeners'
import { logThrown } from '../shared/thrown'
import { timers } from '../shared/timers'
import type { Engine } from './engine'
import type { Job } from './job'

type EventName = typeof EVENTS[number]

/** BullMQ's events, and what they say of a job. */
const SOURCES: Record<string, EventName> = { active: 'start', progress: 'progress', completed: 'end', failed: 'end' }

/** Jobs whose events wait to be read. Of more than so many, progress is left out. */
const MAX_BACKLOG = 1_000
/** Jobs that are read at a time. */
const PARALLEL = 20
/** A record that went at once is followed by what is kept of its end, within so many ms. */
const EVIDENCE_DELAYS = [0, 50, 250, 1_000]

interface Noted {
  readonly queue: string
  readonly id: string
  /** What is still to be emitted. */
  events: Set<EventName>
}

/** @returns the job of the id; of one that has ended what is kept of it, at least */
type ReadJob = (queue: string, id: string) => Promise<Job | undefined>

/**
 * What happens to the fleet's jobs, each event with the job as it is then. BullMQ's events have little more than the id, so each
 * costs a read; without listeners nothing is read. On PostgreSQL some events are lost.
 */
export class JobEvents extends EventEmitter<api.JobEvents> {
  readonly #engine: Engine
  readonly #read: ReadJob
  readonly #log: FastifyBaseLogger
  readonly #backlog = new Map<string, Noted>()
  /** What was noted of jobs while they were being read: their events stay in order. */
  readonly #busy = new Map<string, Set<EventName>>()
  readonly #sources = Object.entries(SOURCES).map(([source, name]) => (
    [source, ({ queue, jobId }: { queue: string, jobId: string }) => this.#note(queue, jobId, name)] as const
  ))

  #listening = false

  constructor (engine: Engine, read: ReadJob, log: FastifyBaseLogger) {
    super()
    this.#engine = engine
    this.#read = read
    this.#log = log
    // A listener for each client of a live view is no leak.
    this.setMaxListeners(0)
    this.on('newListener' as 'start', (name: unknown) => { if (isEventName(name)) this.#listen() })
    this.on('removeListener' as 'start', () => { if (EVENTS.every((name) => this.listenerCount(name) === 0)) this.close() })
  }

  /** Hears nothing any more. */
  close (): void {
    for (const [source, listener] of this.#sources) this.#engine.events.off(source, listener)
    this.#listening = false
    this.#backlog.clear()
  }

  /** A job that waited was removed by a cancel. BullMQ's own event of that does not say why, or does not come. */
  onRemoved (queue: string, id: string): void {
    if (this.#listening) this.#note(queue, id, 'end')
  }

  #listen (): void {
    if (this.#listening) return
    this.#listening = true
    for (const [source, listener] of this.#sources) this.#engine.events.on(source, listener)
  }

  #note (queue: string, id: string, event: EventName): void {
    const key = `${queue} ${id}`
    const noted = this.#busy.get(key) ?? this.#backlog.get(key)?.events
    // The job is read when it is emitted: of its progress the latest is enough.
    if (noted !== undefined) noted.add(event)
    else if (event !== 'progress' || this.#backlog.size < MAX_BACKLOG) this.#add(key, { queue, id, events: new Set([event]) })
  }

  #add (key: string, noted: Noted): void {
    this.#backlog.set(key, noted)
    if (this.#busy.size < PARALLEL) this.#emitNext()
  }

  async #emitNext (): Promise<void> {
    const next = this.#backlog.entries().next()
    if (next.done === true) return
    const [key, noted] = next.value
    const later = new Set<EventName>()
    this.#backlog.delete(key)
    this.#busy.set(key, later)
    try {
      await this.#publish(noted)
    } catch { // A store that is away: its events are lost.
    }
    this.#busy.delete(key)
    if (later.size > 0 && this.#listening) this.#backlog.set(key, { ...noted, events: later })
    this.#emitNext()
  }

  async #publish ({ queue, id, events }: Noted): Promise<void> {
    let job: Job | undefined
    for (const delay of events.has('end') ? EVIDENCE_DELAYS : [0]) {
      if (delay > 0) await new Promise((resolve) => timers.setTimeout(resolve, delay, undefined))
      if ((job = await this.#read(queue, id)) !== undefined) break
    }
    if (job === undefined) return
    for (const name of EVENTS) {
      // A process without its kind takes it and starts nothing; one that was retried in between has no end.
      if (events.has(name) && (name !== 'start' || job.wasStarted) && (name !== 'end' || job.endedAt !== undefined)) this.#call(name, job)
    }
  }

  #call (name: EventName, job: Job): void {
    callListeners(this, name, job, (error) => logThrown(this.#log, error, 'A listener on app.jobEvents threw an error', { event: name, job: job.name }))
  }
}

function isEventName (name: unknown): name is EventName {
  return EVENTS.includes(name as EventName)
}
