import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
// --- the block ---
const folder = mkdtempSync(join(process.cwd(), 'node_modules', '.fastify-cli-'))
writeFileSync(join(folder, 'app.mjs'), `
  export default async function (app, options) {
    await app.register((await import(process.env.TASKS)).default)
    app.addTask(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      console.log('finished')
    }, { onClose: 'wait' })
    app.tasks.once('start', () => console.log('started'))
  }`)

/** What an app prints that gets SIGTERM while its task still needs a second. */
async function output (args: string[], env: object): Promise<string> {
  const cli = createRequire(join(process.cwd(), 'index.js')).resolve('fastify-cli/cli.js')
  const child = spawn(process.execPath, ['--import', 'tsx', cli, ...args], {
    cwd: folder, env: { ...process.env, TASKS: join(process.cwd(), 'index.ts'), FASTIFY_PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'inherit']
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
    if (String(chunk).includes('started')) child.kill('SIGTERM')
  })
  await once(child, 'close')
  return text
}

try {
  const args = block.trim().replace('app.js', 'app.mjs').split(' ').slice(1)
  assert.doesNotMatch(await output(['start', 'app.mjs'], {}), /finished/)
  assert.match(await output(args, {}), /finished/)
  assert.match(await output(['start', 'app.mjs'], { FASTIFY_CLOSE_GRACE_DELAY: '35000' }), /finished/)
} finally {
  rmSync(folder, { recursive: true })
}
