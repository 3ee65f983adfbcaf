import type { FastifyInstance } from 'fastify'
import { FST_ERR_JOBS_CLOSED, FST_ERR_JOBS_NOT_READY } from '../shared/errors'
import { whenReady } from '../shared/when-ready'
import { CompletionWaiter } from './completions'
import { Engine } from './engine'
import { Kinds } from './kinds'
import type { Settings } from './options'
import { JobRegistry } from './registry'
import { Runner } from './runner'

/** The parts of the jobs from the boot of the app to its end, for each hook of Fastify a method. */
export class JobsLifecycle {
  readonly kinds = new Kinds()
  readonly #app: FastifyInstance
  readonly #settings: Settings
  readonly #engine: Engine
  readonly #runner: Runner
  readonly #completions: CompletionWaiter
  readonly #registry: JobRegistry
  #phase: 'booting' | 'open' | 'closed' = 'booting'
  #drained: Promise<void> | undefined = undefined
  #closeTimer: NodeJS.Timeout | undefined = undefined

  /** @throws FST_ERR_JOB_MISSING_PACKAGE */
  constructor (app: FastifyInstance, settings: Settings) {
    this.#app = app
    this.#settings = settings
    this.#runner = new Runner(app, this.kinds)
    this.#engine = new Engine(settings, app.log, this.#runner.process)
    this.#completions = new CompletionWaiter(this.#engine)
    this.#registry = new JobRegistry(this.#engine, this.#completions, this.kinds, settings.cancelTimeout)
    const { events } = this.#engine
    events.on('cancel', ({ jobId, reason }) => this.#runner.cancel(jobId, JSON.parse(reason)))
    events.on('heartbeat', ({ jobId }) => this.#runner.heartbeat(jobId))
    events.on('lost', (ids) => this.#runner.onLocksLost(ids))
  }

  /** @throws FST_ERR_JOBS_NOT_READY, FST_ERR_JOBS_CLOSED */
  readonly requireOpen = (): JobRegistry => {
    if (this.#phase === 'open') return this.#registry
    throw this.#phase === 'closed' ? new FST_ERR_JOBS_CLOSED() : new FST_ERR_JOBS_NOT_READY()
  }

  async onReady (): Promise<void> {
    await this.kinds.seal()
    await this.#engine.open(this.kinds.queues)
    this.#phase = 'open'
    whenReady(this.#app, () => this.#engine.work())
  }

  preClose (): void {
    this.#drain()
    // A request in flight that waits for a job must not keep the app from closing.
    this.#closeTimer ??= setTimeout(() => this.#close(), this.#settings.closeTimeout)
  }

  async onClose (): Promise<void> {
    const { closeTimeout } = this.#settings
    clearTimeout(this.#closeTimer)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => { timer = setTimeout(resolve, closeTimeout, true) })
    if (await Promise.race([this.#drain(), late])) {
      const jobs = this.#runner.names
      if (jobs.length > 0) this.#app.log.warn({ jobs }, 'Jobs are still running after the app was closed')
      else this.#app.log.warn('The job store did not respond; closing without it')
    }
    clearTimeout(timer)
    this.#close()
    await this.#engine.close(closeTimeout)
  }

  /** Returns what runs here to its queue. Called once closing has begun, while requests in flight may still ask for jobs. */
  #drain (): Promise<void> {
    this.#runner.stopAll()
    this.#drained ??= this.#engine.drainWorkers()
    return this.#drained
  }

  #close (): void {
    this.#phase = 'closed'
    this.#completions.close()
  }
}
