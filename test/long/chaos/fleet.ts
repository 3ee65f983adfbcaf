import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { env } from '../../fixtures/child'
import { startProxy } from '../../fixtures/proxy'
import type { Journal } from './journal'
import type { Order, Settings } from './member'
import type { Random } from './random'
import type { Store } from './store'

/** How long a lock lasts that is not renewed, in ms. */
export const LOCK = 3_000

type Link = Awaited<ReturnType<typeof startProxy>>

/** A process of the fleet, seen from the run. */
export interface Member {
  child: ChildProcess
  pid: number
  /** Its way to the store, if it can be cut off. */
  link: Link | undefined
  /** Resolves when the process has ended. */
  exited: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
  order: (order: Order) => void
  /** Resolves when it has said so. */
  says: (word: 'ready' | 'drained') => Promise<void>
}

/** All processes of a run. Every second one has a way to the store that can be cut off. */
export class Fleet {
  readonly workers: Member[] = []
  readonly clients: Member[] = []
  readonly #all: Member[] = []
  readonly #teardowns: Array<() => unknown> = []

  constructor (readonly store: Store, readonly journal: Journal, private readonly random: Random, private readonly folder: string) {}

  get members (): Member[] {
    return [...this.workers, ...this.clients]
  }

  async join (role: Settings['role'], { hasAllKinds = role === 'client' || this.#all.length % 3 > 0 } = {}): Promise<Member> {
    const link = this.#all.length % 2 === 0 ? undefined : await startProxy({ teardown: (close) => { this.#teardowns.push(close) } }, { host: '127.0.0.1', port: this.store.port })
    const settings: Settings = {
      role,
      hasAllKinds,
      journal: this.journal.file,
      log: join(this.folder, `${role}-${this.#all.length}.log`),
      seed: this.random.between(0, 2 ** 31),
      jobs: {
        connection: this.store.connection(link?.connection.port),
        worker: role === 'worker',
        queue: 'chaos',
        lockDuration: LOCK,
        cancelTimeout: 10_000,
        closeTimeout: 2_000,
        removeOnComplete: 1_000_000,
        removeOnFail: 1_000_000
      }
    }
    const child = fork(join(__dirname, 'member.ts'), [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const member: Member = {
      child,
      pid: child.pid!,
      link,
      exited: once(child, 'exit').then(([code, signal]) => ({ code, signal })),
      order: (order) => child.send(order),
      says: (word) => new Promise((resolve) => child.on('message', (said) => { if (said === word) resolve() }))
    }
    this.#all.push(member)
    await Promise.race([member.says('ready'), member.exited])
    this.journal.write('joined', { member: child.pid, role })
    ;(role === 'worker' ? this.workers : this.clients).push(member)
    return member
  }

  /** Takes a worker out of the fleet, for it to be ended in some way. */
  takeWorker (): Member {
    return this.workers.splice(this.random.between(0, this.workers.length - 1), 1)[0]
  }

  /** Asks the process to end, and notes how it did. */
  async leave (member: Member): Promise<void> {
    const since = performance.now()
    member.child.kill('SIGTERM')
    const { code, signal } = await member.exited
    this.journal.write('left', { member: member.pid, code, signal, after: Math.round(performance.now() - since) })
  }

  /** Ends whatever is left, however it is. */
  kill (): void {
    for (const { child } of this.#all) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    for (const close of this.#teardowns) close()
  }
}
