import { Redis } from 'ioredis'
import { startRedis } from '../../fixtures/redis'
import { briefly, serverFaults, signal, type Store, type StoreFault } from './store'

/** `undefined` where there is no redis-server. */
export async function redisStore (): Promise<Store | undefined> {
  const server = await startRedis()
  if (server === undefined) return undefined
  const { host, port } = server.connection

  /** With a connection that is there before the fault, and lasts. */
  const withAdmin = (fault: (admin: Redis, ...args: Parameters<StoreFault>) => Promise<unknown>): StoreFault => async (...args) => {
    const admin = new Redis({ host, port })
    admin.on('error', () => {})
    try {
      await fault(admin, ...args)
    } finally {
      admin.disconnect()
    }
  }

  return {
    name: 'Redis',
    port,
    connection: (via = port) => ({ host, port: via }),
    kill: () => signal(server.pid()!, 'SIGKILL'),
    close: server.close,
    faults: {
      ...serverFaults(server),
      'memory of the store is full': withAdmin(async (admin, times) => {
        await admin.config('SET', 'maxmemory', '1mb')
        await briefly(times)
        await admin.config('SET', 'maxmemory', '0')
      }),
      'store takes no writes': withAdmin(async (admin, times) => {
        await admin.config('SET', 'min-replicas-to-write', '1')
        await briefly(times)
        await admin.config('SET', 'min-replicas-to-write', '0')
      }),
      'store turns into a replica': withAdmin(async (admin, times) => {
        await admin.replicaof('127.0.0.1', '1')
        await briefly(times)
        await admin.replicaof('NO', 'ONE')
      }),
      'connections of the store are used up': withAdmin(async (admin, times) => {
        const clients = String(await admin.client('LIST')).trim().split('\n').length
        await admin.config('SET', 'maxclients', Math.ceil(clients / 2))
        await admin.call('CLIENT', 'KILL', 'TYPE', 'normal')
        await briefly(times)
        await admin.config('SET', 'maxclients', '10000')
      }),
      'all connections break': withAdmin((admin) => admin.call('CLIENT', 'KILL', 'TYPE', 'normal'))
    }
  }
}
