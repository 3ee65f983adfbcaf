import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Job } from '../../../types/job'
import type { Journal } from './journal'
import { Random } from './random'

/** What a job is to do, and what is to be done with it. */
export interface Plan {
  ms: number
  /** How many of its first attempts fail. */
  fails: number
  /** When it is cancelled, in ms after it was added. */
  cancelAfter?: number
  /** Run once more when it has failed. */
  isRetried?: true
}

/** Of a job, what somebody is told. */
interface Told { name: string, state: string, result?: any, error?: any, attempts?: number, endedAt?: number }

/** How long between two adds of a client, in ms. */
const INTERVAL = 40
const ATTEMPTS = 3
const KINDS = ['work', 'work', 'work', 'work', 'restless', 'rare']
/** How long the fleet may take for what is left, once nothing is broken any more. In ms. */
const DRAIN = 90_000
/** How long the schedule may take to go on. In ms. */
const SCHEDULE = 5_000

const STATES: Record<string, string> = { FST_ERR_JOB_CANCELLED: 'cancelled', FST_ERR_JOB_RECORD_GONE: 'gone' }

/** Adds jobs, follows each to its end, and writes down what it was told. */
export class Load {
  readonly #random: Random
  readonly #added: string[] = []
  /** The jobs that are followed, until all that was asked about them is answered. */
  readonly #open = new Map<string, Promise<void>>()
  #stopped = false

  constructor (private readonly app: FastifyInstance, private readonly journal: Journal, seed: number) {
    this.#random = new Random(seed)
    app.jobEvents.on('end', (job) => { if (job.kind !== 'tick') this.#tell('event', job) })
    this.#run()
  }

  stop (): void {
    this.#stopped = true
  }

  /** Adds no more, and looks at all that it has added. */
  async drain (): Promise<void> {
    this.stop()
    const until = performance.now() + DRAIN
    const isOver = (): boolean => performance.now() > until
    while (this.#open.size > 0 && !isOver()) await sleep(100)
    for (const name of this.#open.keys()) this.journal.write('unsettled', { name })
    let live: string[] = ['unknown']
    while (live.length > 0 && !isOver()) {
      await sleep(100)
      live = await this.#live().catch(() => ['unknown'])
    }
    for (const name of live) this.journal.write('live', { name })
    await sleep(SCHEDULE)
    for (const name of this.#added) {
      const job = await this.app.getJob(name).catch((error) => this.journal.write('get failed', { name, code: error.code }))
      if (job !== undefined) this.#tell('get', job)
    }
  }

  async #live (): Promise<string[]> {
    const names = []
    for await (const { name } of this.app.jobs()) if (name !== 'tick') names.push(name)
    return names
  }

  async #run (): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const name = `${process.pid}-${i}`
      const following = this.#follow(name, this.#plan())
      this.#open.set(name, following)
      following.then(() => this.#open.delete(name))
      await sleep(INTERVAL)
    }
  }

  #plan (): Plan {
    const random = this.#random
    const plan: Plan = { ms: random.between(0, 300), fails: 0 }
    if (random.happens(0.02)) plan.ms = 5_000
    if (random.happens(0.1)) plan.cancelAfter = random.between(0, 400)
    else if (random.happens(0.1)) plan.fails = 1
    else if (random.happens(0.1)) Object.assign(plan, { fails: Infinity, isRetried: random.happens(0.5) })
    // As JSON has it.
    if (plan.fails === Infinity) plan.fails = 1_000_000
    return plan
  }

  async #follow (name: string, plan: Plan): Promise<void> {
    const { journal } = this
    journal.write('adding', { name, plan })
    let job: Job<any>
    try {
      job = await this.app.addJob(this.#random.pick(KINDS), plan, { name, attempts: ATTEMPTS })
    } catch (error: any) {
      return journal.write('refused', { name, code: error.code })
    }
    journal.write('added', { name })
    this.#added.push(name)
    const cancelling = plan.cancelAfter === undefined ? undefined : this.#cancel(name, plan.cancelAfter)
    await this.#wait(job)
    await cancelling
    if (plan.isRetried === true) await this.#retry(name)
  }

  async #wait (job: Job<any>): Promise<void> {
    try {
      this.#tell('wait', { name: job.name, state: 'completed', result: await job.wait() })
    } catch (error: any) {
      // Whoever leaves is told nothing.
      if (error.code !== 'FST_ERR_JOBS_CLOSED') this.#tell('wait', { name: job.name, state: STATES[error.code] ?? 'failed', error })
    }
  }

  async #cancel (name: string, delay: number): Promise<void> {
    await sleep(delay)
    this.journal.write('cancelling', { name })
    await this.app.cancelJob(name, 'chaos').then(
      (answer) => this.journal.write('cancelled', { name, answer }),
      ({ code }) => this.journal.write('not cancelled', { name, code })
    )
  }

  async #retry (name: string): Promise<void> {
    this.journal.write('retrying', { name })
    try {
      const job = await this.app.retryJob<any>(name)
      this.journal.write('retried', { name })
      await this.#wait(job)
    } catch (error: any) {
      this.journal.write('not retried', { name, code: error.code })
    }
  }

  #tell (via: 'wait' | 'event' | 'get', { name, state, result, error, attempts, endedAt }: Told): void {
    this.journal.write('told', { name, via, state, run: result?.run, code: error?.code, message: error?.message, attempts, endedAt })
  }
}
