import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { env } from './fixtures/child'

t.test('a task registered before ready runs in each of three workers, never in the primary', async (t) => {
  const child = spawn(process.execPath, ['--import', 'tsx', require.resolve('./fixtures/cluster.ts')], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  // The workers end when their channel to the primary closes.
  t.teardown(() => { child.kill('SIGKILL') })
  let output = ''
  child.stdout.on('data', (chunk) => { output += chunk })
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  const { primary, workers, ran, exits } = JSON.parse(output)
  t.same(ran.sort(), workers.sort())
  t.equal(new Set(ran).size, 3)
  t.notOk(ran.includes(primary))
  t.same(exits, [0, 0, 0])
})
