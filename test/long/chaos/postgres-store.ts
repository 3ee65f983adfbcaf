import pg from 'pg'
import { startPostgres } from '../../../examples/embedded-postgres'
import { briefly, serverFaults, signal, type Store, type StoreFault } from './store'

const BREAK = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fleet'"

export async function postgresStore (): Promise<Store> {
  const server = await startPostgres()
  const port = Number(new URL(server.url).port)

  const withAdmin = (fault: (admin: pg.Client, ...args: Parameters<StoreFault>) => Promise<unknown>): StoreFault => async (...args) => {
    const admin = new pg.Client(server.url)
    admin.on('error', () => {})
    await admin.connect()
    try {
      await fault(admin, ...args)
    } finally {
      await admin.end()
    }
  }

  await withAdmin(async (admin) => {
    // A limit does not hold for a superuser.
    await admin.query("CREATE ROLE fleet LOGIN PASSWORD 'fleet'")
    await admin.query('CREATE DATABASE fleet OWNER fleet')
  })({} as never)

  return {
    name: 'PostgreSQL',
    port,
    connection: (via = port) => `postgres://fleet:fleet@127.0.0.1:${via}/fleet`,
    kill: () => signal(server.pid()!, 'SIGKILL'),
    close: server.close,
    faults: {
      ...serverFaults(server),
      'store takes no writes': withAdmin(async (admin, times) => {
        await admin.query('ALTER DATABASE fleet SET default_transaction_read_only = on')
        await admin.query(BREAK)
        await briefly(times)
        await admin.query('ALTER DATABASE fleet RESET default_transaction_read_only')
        await admin.query(BREAK)
      }),
      'connections of the store are used up': withAdmin(async (admin, times) => {
        const { rows: [{ count }] } = await admin.query("SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'fleet'")
        await admin.query(`ALTER ROLE fleet CONNECTION LIMIT ${Math.ceil(count / 2)}`)
        await admin.query(BREAK)
        await briefly(times)
        await admin.query('ALTER ROLE fleet CONNECTION LIMIT -1')
      }),
      'a process of the store crashes': withAdmin(async (admin) => {
        const { rows: [{ pid }] } = await admin.query("SELECT pid FROM pg_stat_activity WHERE usename = 'fleet' LIMIT 1")
        process.kill(pid, 'SIGKILL')
      }),
      'all connections break': withAdmin((admin) => admin.query(BREAK))
    }
  }
}
