import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from './random'

/** The durations of a fault. */
export interface Times {
  random: Random
  /** How long a store is away, in ms. */
  away: number
}

/** Breaks the store, and resolves when it is whole again. */
export type StoreFault = (times: Times) => Promise<void>

/** A server that holds the jobs, and what can go wrong with it. */
export interface Store {
  name: string
  port: number
  /** What the plugin is given. @param port if it is not to be reached directly */
  connection: (port?: number) => object | string
  faults: Record<string, StoreFault>
  /** Ends it at once. */
  kill: () => void
  close: () => Promise<void>
}

interface Server {
  pid: () => number | undefined
  start: () => Promise<void>
  stop: () => Promise<void>
}

export const briefly = ({ random }: Times): Promise<void> => sleep(random.between(4_000, 12_000))

/** Those that every server has. */
export function serverFaults (server: Server): Store['faults'] {
  return {
    'store is away': async ({ away }) => {
      await server.stop()
      await sleep(away)
      await server.start()
    },
    'kill -9 of the store': async () => {
      process.kill(server.pid()!, 'SIGKILL')
      // PostgreSQL starts when the last of its processes has gone.
      for (let tries = 1; ; tries++) {
        await sleep(500)
        try {
          return await server.start()
        } catch (error) {
          if (tries === 20) throw error
        }
      }
    },
    'SIGSTOP of the store': async (times) => {
      const pids = familyOf(server.pid()!)
      for (const pid of pids) signal(pid, 'SIGSTOP')
      await briefly(times)
      for (const pid of pids) signal(pid, 'SIGCONT')
    }
  }
}

/** PostgreSQL has a process for each connection. */
function familyOf (pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((text) => text !== '')
  return [pid, ...children.map(Number)]
}

export function signal (pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch { // It has gone meanwhile.
  }
}
