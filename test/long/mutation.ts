// npm run test:mutation                               all of the library
// npm run test:mutation -- --mutate lib/tasks/task.ts   one file
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { startPostgres } from '../../examples/embedded-postgres'

async function main (): Promise<void> {
  // One for all mutants: each would start its own.
  const server = await startPostgres()
  const stryker = spawn('stryker', ['run', ...process.argv.slice(2)], { stdio: 'inherit', env: { ...process.env, TEST_POSTGRES: server.url } })
  const [code] = await once(stryker, 'close')
  await server.close()
  process.exitCode = code ?? 1
}

main()
