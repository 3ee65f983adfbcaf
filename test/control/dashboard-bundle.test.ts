import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { openPages } from '../fixtures/browser'

const root = resolve(__dirname, '../..')

const APP = `
  import Fastify from 'fastify'
  import fastifyTasks from './index'
  import tasksDashboard from './lib/control/dashboard'

  async function main () {
    const app = Fastify()
    await app.register(fastifyTasks)
    await app.register(tasksDashboard, { prefix: '/dashboard', onRequest: [] })
    app.addTask((_app, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)), { name: 'bundled' })
    process.stdout.write(await app.listen({ host: '127.0.0.1', port: 0 }))
    process.stdin.on('end', () => app.close()).resume()
  }
  main()
`

t.test('in a real browser', async (t) => {
  const pages = await openPages(t)
  if (pages === undefined) return
  await t.test('an app that is bundled into one file, and moved, has the page', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fastify-tasks-page-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const outfile = join(folder, 'app.js')
    await build({
      stdin: { contents: APP, resolveDir: root, loader: 'ts' }, bundle: true, minify: true, platform: 'node', outfile, logLevel: 'error', external: ['@fastify/swagger']
    })
    const { NODE_OPTIONS, ...env } = process.env
    const child = spawn(process.execPath, [outfile], { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    t.teardown(() => child.kill())
    const [address] = await once(child.stdout, 'data')
    const page = await pages.open(`${String(address)}/dashboard`)
    await page.getByRole('link', { name: 'bundled' }).waitFor()
    await page.close()
    child.stdin.end()
    t.equal((await ended)[0], 0)
  })
  t.same(pages.complaints, [])
})
