import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { start } from '../fixtures/child'
import { project, root, succeed, tsc } from '../fixtures/packed'
import { freePort } from '../fixtures/redis'

t.setTimeout(120_000)

const fastifyCli = join(root, 'node_modules/fastify-cli/cli.js')

/** Packages of the checkout that the project has, too. */
function link (folder: string, ...names: string[]): void {
  for (const name of names) {
    const target = join(folder, 'node_modules', name)
    mkdirSync(dirname(target), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), target, 'junction')
  }
}

/** Starts an app by fastify-cli, sees what it serves, and has it closed by a signal. */
async function testFastifyStart (t: Test, folder: string, file: string): Promise<void> {
  const port = String(await freePort())
  const child = start(t, [fastifyCli, 'start', '--port', port, '--log-level', 'debug', file, '--', '--one'], { program: process.execPath, cwd: folder })
  await child.printed(/Server listening/)
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`)
  t.match(await (await get('/tasks')).json(), { tasks: [{ name: 'poller', state: 'running' }] })
  const page = await get('/dashboard/')
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), 'text/html')
  t.match(await (await get('/dashboard/api')).json(), { tasks: [{ name: 'poller' }] })
  process.kill(child.pid, 'SIGTERM')
  await child.exited
  t.match(child.output(), /poller has stopped/)
  t.notMatch(child.output(), /"level":[56]0/)
}

const POLLER = `
  app.addTask(async (app, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    app.log.info('poller has stopped')
  }, { name: 'poller' })`

t.test('an app whose plugins and routes are autoloaded has tasks, routes, feed and dashboard', async (t) => {
  const { folder, write, node } = project(t)
  link(folder, '@fastify/autoload')
  write('plugins/tasks/index.js', "module.exports = require('fastify-tasks')")
  write('plugins/poller.js', `module.exports = require('fastify-plugin')(async (app) => {${POLLER}}, { dependencies: ['fastify-tasks'] })`)
  write('routes/tasks/index.js', "module.exports = require('fastify-tasks/routes')\nmodule.exports.autoConfig = { onRequest: [] }")
  write('routes/feed/index.js', "module.exports = async (app, options) => { await app.register(require('fastify-tasks/feed'), { onRequest: [] }) }")
  write('routes/dashboard/index.mjs', "export { default } from 'fastify-tasks/dashboard'\nexport const autoConfig = { onRequest: [] }")
  write('app.js', `const autoload = require('@fastify/autoload')
    const lines = []
    const app = require('fastify')({ logger: { level: 'warn', stream: { write: (line) => lines.push(JSON.parse(line)) } } })
    for (const dir of ['plugins', 'routes']) app.register(autoload, { dir: __dirname + '/' + dir, options: { skipOverride: true, one: 1 } })
    app.ready().then(async () => {
      const answers = {}
      for (const path of ['/tasks', '/tasks/poller', '/feed', '/dashboard/', '/dashboard/api']) answers[path] = (await app.inject(path)).statusCode
      const { tasks } = (await app.inject('/tasks')).json()
      await app.close()
      console.log(JSON.stringify({ answers, tasks, lines }))
    })`)
  const { answers, tasks, lines } = JSON.parse(await node('app.js'))
  t.same(answers, { '/tasks': 200, '/tasks/poller': 200, '/feed': 426, '/dashboard/': 200, '/dashboard/api': 200 })
  t.match(tasks, [{ name: 'poller' }])
  t.ok(lines.length > 0)
  for (const line of lines) t.match({ level: line.level, text: JSON.stringify(line) }, { level: 40, text: /skipOverride|one/ })
})

t.test('fastify-cli starts an app with an option that no plugin knows', async (t) => {
  const { folder, write } = project(t)
  write('app.js', `module.exports = async (app, options) => {
    await app.register(require('fastify-tasks'), options)
    await app.register(require('fastify-tasks/routes'), { ...options, prefix: '/tasks', onRequest: [] })
    await app.register(require('fastify-tasks/dashboard'), { ...options, prefix: '/dashboard', onRequest: [] })
    ${POLLER}
  }`)
  await testFastifyStart(t, folder, 'app.js')
})

t.test('an app that fastify-cli has generated in TypeScript gets plugin, routes and dashboard, boots and closes', async (t) => {
  const { folder, write } = project(t)
  const app = join(folder, 'app')
  await succeed(process.execPath, [fastifyCli, 'generate', 'app', '--lang=ts'], folder)
  link(app, '@fastify/autoload', 'fastify-cli')
  // Of two packages it is made with, which are not needed here.
  rmSync(join(app, 'src/plugins/sensible.ts'))
  write('app/tsconfig.json', JSON.stringify({
    compilerOptions: {
      target: 'ES2023', module: 'NodeNext', declaration: true, strict: true, esModuleInterop: true, skipLibCheck: true, outDir: 'dist', rootDir: 'src', types: ['node']
    },
    include: ['src/**/*.ts']
  }))
  write('app/src/plugins/tasks.ts', `import fp from 'fastify-plugin'
    import fastifyTasks, { type FastifyTasksOptions } from 'fastify-tasks'
    export default fp<FastifyTasksOptions>(async (fastify, options) => {
      await fastify.register(fastifyTasks, options)
    }, { name: 'tasks' })`)
  write('app/src/plugins/poller.ts', `import fp from 'fastify-plugin'
    export default fp(async (app) => {${POLLER}}, { dependencies: ['tasks'] })`)
  write('app/src/routes/tasks/index.ts', `import { type FastifyPluginAsync } from 'fastify'
    import routes from 'fastify-tasks/routes'
    const tasks: FastifyPluginAsync = async (fastify, options) => {
      await fastify.register(routes, { onRequest: [] })
    }
    export default tasks`)
  write('app/src/routes/dashboard/index.ts', `export { default } from 'fastify-tasks/dashboard'
    export const autoConfig = { onRequest: [] }`)
  await succeed(process.execPath, [tsc], app)
  await testFastifyStart(t, app, 'dist/app.js')
})
