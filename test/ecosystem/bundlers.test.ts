import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { project, root, succeed } from '../fixtures/packed'
import { sharedPostgres } from '../fixtures/postgres'

t.setTimeout(200_000)

// It has everything. One store of its jobs is there, the other is not.
const APP = `
const Fastify = require('fastify')
const WebSocket = require('ws')

async function main () {
  const app = Fastify()
  await app.register(require('fastify-tasks'), { cancelTimeout: 1000 })
  await app.register(require('fastify-tasks/routes'), { prefix: '/tasks', onRequest: [] })
  await app.register(require('fastify-tasks/feed'), { prefix: '/feed', onRequest: [] })
  await app.register(require('fastify-tasks/dashboard'), { prefix: '/dashboard', onRequest: [] })
  app.addTask((app, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)), { name: 'poller' })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })

  const text = async (path) => (await fetch(new URL(path, url))).text()
  const page = await text('/dashboard/')
  const links = Array.from(page.matchAll(/(?:src|href)="([^"#:]+)"/g), ([, link]) => link)
  const assets = await Promise.all(links.map(async (link) => {
    const answer = await fetch(new URL('/dashboard/' + link, url))
    return answer.ok && (await answer.text()).length > 0
  }))
  const socket = new WebSocket(url.replace('http', 'ws') + '/feed')
  const message = await new Promise((resolve, reject) => socket.on('message', resolve).on('error', reject))
  socket.close()
  const [{ name }] = JSON.parse(await text('/tasks')).tasks
  await app.close()

  const jobs = {}
  for (const [store, connection] of Object.entries({ postgres: process.argv[2], redis: { host: '127.0.0.1', port: 1 } })) {
    const app = Fastify()
    await app.register(require('fastify-tasks'))
    await app.register(require('fastify-tasks/jobs'), { connection, closeTimeout: 100 })
    app.defineJob('double', async (app, task, number) => number * 2)
    await app.ready()
    jobs[store] = await app.addJob('double', 21).then((job) => job.wait(), (error) => error.code)
    await app.close()
  }
  console.log(JSON.stringify({ name, links: links.length, assets, feed: JSON.parse(message).task.name, jobs }))
  process.exit()
}

main()
`

/** What a bundle prints that was moved to a folder with nothing else in it. */
async function runMoved (t: Test, bundle: string, ...args: string[]): Promise<any> {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-tasks-bundle-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  renameSync(bundle, join(folder, 'app.js'))
  return JSON.parse(await succeed(process.execPath, ['app.js', ...args], folder))
}

type Bundle = (folder: string, entry: string, output: string) => Promise<unknown>

const BUNDLERS: Record<string, Bundle> = {
  esbuild: (folder, entry, output) =>
    succeed(join(root, 'node_modules/.bin/esbuild'), [entry, '--bundle', '--minify', '--platform=node', '--log-level=error', `--outfile=${output}`], folder),
  webpack: (folder, entry, output) => {
    const script = `require(${JSON.stringify(require.resolve('webpack'))})({
      mode: 'none', target: 'node', context: ${JSON.stringify(folder)}, entry: ${JSON.stringify(entry)},
      output: { path: ${JSON.stringify(folder)}, filename: ${JSON.stringify(output)} }
    }, (error, stats) => {
      if (error || stats.hasErrors()) throw error ?? new Error(stats.toString())
    })`
    return succeed(process.execPath, ['--eval', script], folder)
  }
}

let url: string

t.before(async () => {
  const server = await sharedPostgres()
  t.teardown(() => server.close())
  url = server.url
})

for (const [name, bundle] of Object.entries(BUNDLERS)) {
  t.test(`an app with routes, feed, dashboard and jobs runs from one file made by ${name}`, async (t) => {
    const { folder, write } = project(t)
    await bundle(folder, write('app.js', APP), 'bundle.js')
    const { name, links, assets, feed, jobs } = await runMoved(t, join(folder, 'bundle.js'), url)
    t.equal(name, 'poller')
    t.equal(feed, 'poller')
    t.ok(links >= 2, 'the page has links to its style and its script')
    t.notOk(assets.includes(false), 'all of which are served')
    t.same(jobs, { postgres: 42, redis: 'FST_ERR_JOB_ENGINE_UNAVAILABLE' })
  })
}
