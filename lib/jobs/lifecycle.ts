import type { FastifyInstance } from 'fastify'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOBS_NOT_READY } from '../shared/errors'
import { whenReady } from '../shared/when-ready'
import { takerName } from './taker'
import { timers } from '../shared/timers'
import { logLine } from '../shared/thrown'
import { readStopRequests } from './canceller'
import { CompletionWaiter } from './completions'
import { deferred } from './deferred'
import { Engine, type Queue } from './engine'
import { JobEvents } from './events'
import { Expiries } from './expiries'
import { Kinds } from './kinds'
import { MisroutedJobs } from './misrouted'
import { adoptForeignJobs } from './names'
import { checkText, concurrencyOf, DEFAULT_QUEUE, type Settings } from './options'
import { Outcomes } from './outcomes'
import { JobRegistry } from './registry'
import { retentionOf } from './retention'
import { Runner } from './runner'
import { Schedules } from './schedules'
import { deserializeReason, storableResult } from './serialization'
import { sleep } from './sleep'

/** The parts of the jobs from the boot of the app to its end, for each hook of Fastify a method. */
export class JobsLifecycle {
  readonly kinds = new Kinds()
  readonly events: JobEvents
  readonly #app: FastifyInstance
  readonly #settings: Settings
  readonly #engine: Engine
  readonly #runner: Runner
  readonly #completions: CompletionWaiter
  readonly #outcomes: Outcomes
  readonly #expiries: Expiries
  readonly #registry: JobRegistry
  readonly #misrouted: MisroutedJobs
  readonly #schedules: Schedules
  #phase: 'booting' | 'open' | 'closed' = 'booting'
  #drained: Promise<unknown> | undefined = undefined
  #closeTimer: NodeJS.Timeout | undefined = undefined
  /** Settles when the jobs that still run here have been asked to stop. */
  readonly #stopped = deferred()

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (app: FastifyInstance, settings: Settings) {
    this.#app = app
    this.#settings = settings
    this.#runner = new Runner(app, this.kinds)
    this.#engine = new Engine(settings, app.log, async (queue, job, token) => {
      const result = await this.#outcomes.afterNoting(job, this.#runner.process(queue, job, token))
      return this.#engine.isPostgres ? storableResult(result) : result
    })
    this.#outcomes = new Outcomes(this.#engine, (queue, family) => retentionOf(settings, this.kinds.of(queue), family))
    this.#expiries = this.#runner.expiries = new Expiries(this.#engine, this.#outcomes)
    this.#completions = new CompletionWaiter(this.#engine, this.#outcomes, this.#expiries)
    this.#registry = new JobRegistry({
      engine: this.#engine, completions: this.#completions, outcomes: this.#outcomes, expiries: this.#expiries, kinds: this.kinds, cancelTimeout: settings.cancelTimeout
    })
    this.events = new JobEvents(this.#engine, (queue, id) => this.#registry.read(queue, id), app.log)
    adoptForeignJobs(this.#engine, this.#outcomes)
    this.#schedules = this.#runner.schedules = new Schedules(this.#engine, this.kinds, this.#expiries, app.log)
    this.#misrouted = this.#runner.misrouted = new MisroutedJobs(this.#engine, this.kinds, (queue) => this.#runner.count(queue) < concurrencyOf(settings, queue))
    const { events } = this.#engine
    events.on('working', (queue) => this.#misrouted.announce(queue))
    events.on('cancel', ({ queue, requests }) => {
      for (const request of readStopRequests(requests)) {
        this.#runner.cancel(request)
        if (request.removed !== true) continue
        this.#completions.onRemoved(queue, request.id, deserializeReason(request.reason))
        this.events.onRemoved(queue, request.id)
      }
    })
    events.on('heartbeat', ({ jobId }) => this.#runner.heartbeat(jobId))
    events.on('lost', (ids) => this.#runner.onLocksLost(ids))
  }

  /** @throws FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED */
  readonly requireOpen = (): JobRegistry => {
    if (this.#phase === 'open') return this.#registry
    throw this.#phase === 'closed' ? new FST_ERR_JOBS_CLOSED() : new FST_ERR_JOBS_NOT_READY()
  }

  /** @throws FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED */
  readonly requireSchedules = (): Schedules => {
    this.requireOpen()
    return this.#schedules
  }

  /**
   * BullMQ's own queue, for what it has besides.
   * @throws FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED, FST_ERR_JOB_UNKNOWN_QUEUE, FST_ERR_JOB_ENGINE_UNAVAILABLE
   */
  queue (name: string = DEFAULT_QUEUE): Queue {
    this.requireOpen()
    checkText('queue', name)
    return this.#engine.queue(name)
  }

  async onReady (): Promise<void> {
    await this.kinds.seal()
    await this.#engine.open(this.kinds.queues, takerName(this.kinds.names))
    this.#phase = 'open'
    this.#expiries.open()
    whenReady(this.#app, () => this.#engine.work())
  }

  preClose (): void {
    this.#drain()
  }

  async onClose (): Promise<void> {
    const { closeTimeout, cancelTimeout } = this.#settings
    const drained = this.#drain()
    const late = this.#stopped.promise.then(() => sleep(Math.min(closeTimeout, cancelTimeout), true, { ref: false }))
    if (await Promise.race([drained, late]) === true) {
      const jobs = this.#runner.names
      if (jobs.length > 0) logLine(this.#app.log, 'warn', `Jobs are still running after the app was closed: ${jobs.join(', ')}`, { jobs })
      else logLine(this.#app.log, 'warn', 'The job store did not respond; closing without it')
    }
    // How the last of them ended is still to be written.
    await Promise.race([this.#outcomes.flush(), late])
    timers.clearTimeout(this.#closeTimer)
    this.#close()
    await this.#engine.close(closeTimeout)
  }

  /**
   * Takes no more jobs; those that run here may finish within `closeTimeout`. Called once closing has begun, while requests in flight
   * may still ask for jobs.
   */
  #drain (): Promise<unknown> {
    if (this.#drained !== undefined) return this.#drained
    const stopped = this.#engine.stopTaking()
    this.#runner.leave(stopped)
    this.#closeTimer = timers.setTimeout(() => {
      this.#runner.stopAll()
      // A request in flight that waits for a job must not keep the app from closing.
      this.#close()
      this.#stopped.resolve()
    }, this.#settings.closeTimeout, undefined)
    this.#drained = stopped.then(({ drained }) => drained)
    return this.#drained
  }

  #close (): void {
    this.#phase = 'closed'
    this.#completions.close()
    this.events.close()
    this.#misrouted.close()
    this.#expiries.close()
  }
}
