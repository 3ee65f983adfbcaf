import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type pg from 'pg'
import type { TransactionClient } from './transactions'
import { timers } from '../shared/timers'

type Query = TransactionClient['query']

/**
 * The pool that BullMQ is given: one for all queues, that knows which of its connections to cut, and whose queries go to the
 * client of a transaction in which they are made.
 */
export class SharedPool extends EventEmitter {
  /** When the server last answered, as `timers.now()` has it. */
  heardAt = 0
  readonly #transaction = new AsyncLocalStorage<TransactionClient>()
  readonly #clients = new Set<{ connection?: { stream: { destroy: () => void } } }>()
  #pool: pg.Pool | undefined = undefined
  #isCallers = false
  #free = Infinity
  readonly #forward = (error: Error): void => { this.emit('error', error) }
  readonly #waiting: Array<() => void> = []

  constructor () {
    super()
    // Each of BullMQ's objects adds a listener, and none takes it off.
    this.setMaxListeners(0).on('error', ignore)
  }

  /** @param queries how many may be under way at once: a pool of the caller's may bound how long they wait for it */
  use (pool: pg.Pool, { isCallers, queries }: { isCallers: boolean, queries: number }): void {
    this.#pool = pool
    this.#isCallers = isCallers
    this.#free = queries
    pool.on('error', this.#forward)
  }

  /** What BullMQ reads of a pool. */
  get options (): object {
    return this.#pool!.options
  }

  /** Runs BullMQ's queries within the transaction of this client. */
  within<T> (client: TransactionClient, operation: () => Promise<T>): Promise<T> {
    return this.#transaction.run(client, operation)
  }

  readonly query: Query = async (text, params) => {
    const transaction = this.#transaction.getStore()
    if (transaction !== undefined) return transaction.query(text, params)
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#free--
    return this.#ask(text, params).finally(() => {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    })
  }

  readonly #ask: Query = async (text, params) => {
    try {
      const result = await this.#pool!.query(text, params)
      this.heardAt = timers.now()
      return result
    } catch (error) {
      // What the server says of a query is an answer.
      if ((error as { severity?: unknown }).severity !== undefined) this.heardAt = timers.now()
      throw error
    }
  }

  /** A client that is kept, to listen. One of our own pool is cut in the end, released or not. */
  async connect (): Promise<pg.PoolClient> {
    const client = await this.#pool!.connect()
    if (!this.#isCallers) return client
    const restore = keepErrorListeners(client)
    this.#clients.add(client as object)
    const release = client.release.bind(client)
    client.release = (error) => {
      // What is released with an error is ended, the others are the caller's again.
      if (error === undefined) {
        restore()
        this.#clients.delete(client as object)
      }
      release(error)
    }
    return client
  }

  /** The class of the connections of a pool of our own. */
  clientClass (Client: typeof pg.Client, connectionTimeoutMillis: number): typeof pg.Client {
    const clients = this.#clients
    return class extends Client {
      constructor (config: pg.ClientConfig) {
        // The pool hides the password from being copied.
        super({ ...config, password: config.password, connectionTimeoutMillis })
        keepErrorListeners(this)
        clients.add(this as object)
        this.once('end', () => clients.delete(this as object))
      }
    } as typeof pg.Client
  }

  /** Of the caller's pool, what listened for it here is taken off, and nothing else. */
  async end (): Promise<void> {
    const pool = this.#pool
    if (this.#isCallers) pool?.off('error', this.#forward)
    else await pool?.end()
  }

  /** Cuts every connection that is still there. */
  destroy (): void {
    for (const { connection } of this.#clients) connection?.stream.destroy()
    this.#clients.clear()
    this.#pool = undefined
  }
}

function ignore (): void {}

/**
 * BullMQ takes all listeners off the connection that it hears PostgreSQL through, and only then ends it: what the server says in
 * between, such as that it shuts down too, would be an unhandled error.
 * @returns what undoes it
 */
function keepErrorListeners (client: pg.ClientBase): () => void {
  const { removeAllListeners } = client
  client.on('error', ignore)
  client.removeAllListeners = () => {
    EventEmitter.prototype.removeAllListeners.call(client)
    return client.on('error', ignore) as never
  }
  return () => {
    client.removeAllListeners = removeAllListeners
    client.off('error', ignore)
  }
}
