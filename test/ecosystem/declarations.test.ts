import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { execute, project, tsc } from '../fixtures/packed'

t.setTimeout(240_000)

/** What a library on top of this one exports: nothing of it says its type. */
const USER = `
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import fastifyTasks, { errors } from 'fastify-tasks'
import routes from 'fastify-tasks/routes'
import feed from 'fastify-tasks/feed'
import dashboard from 'fastify-tasks/dashboard'
import fastifyJobs from 'fastify-tasks/jobs'

export const plugins = { fastifyTasks, routes, feed, dashboard, fastifyJobs }
export const build = async () => {
  const app = Fastify()
  await app.register(fastifyTasks)
  return app
}
export const add = (app: FastifyInstance) => app.addTask(async (_app, task) => { task.updateProgress(1); return 42 }, { name: 'a' })
export const addOfRequest = (request: FastifyRequest) => request.addTask(() => 42)
export const get = (app: FastifyInstance) => app.getTask('a')
export const list = (app: FastifyInstance) => app.getTasks({ group: 'a' })
export const snapshots = (app: FastifyInstance) => [...app.tasks].map((task) => task.toJSON())
export const tasks = (app: FastifyInstance) => app.tasks
export const cancel = (app: FastifyInstance) => app.cancelTask('a')
export const cancelMany = (app: FastifyInstance) => app.cancelTasks({ prefix: 'a' })
export const idle = (app: FastifyInstance) => app.tasks.onIdle()
export const addJob = (app: FastifyInstance) => app.addJob('kind', { id: 1 })
export const addJobs = (app: FastifyInstance) => app.addJobs('kind', [{ data: { id: 1 } }])
export const getJob = (app: FastifyInstance) => app.getJob('a')
export const jobs = (app: FastifyInstance) => app.jobs()
export const jobSnapshots = async (app: FastifyInstance) => (await app.getJob('a'))?.toJSON()
export const counts = (app: FastifyInstance) => app.jobCounts()
export const schedules = (app: FastifyInstance) => app.schedules()
export const schedule = (app: FastifyInstance) => app.scheduleJob('nightly', { kind: 'kind', pattern: '0 3 * * *' })
export const retry = (app: FastifyInstance) => app.retryJob('a')
export const events = (app: FastifyInstance) => app.jobEvents
export const methods = (app: FastifyInstance) => ({ add: app.addTask, get: app.getTask, addJob: app.addJob, define: app.defineJob })
export const codes = { errors, ofPlugin: fastifyTasks.errors, InUse: errors.FST_ERR_TASK_NAME_IN_USE }
export const isCancelled = (error: unknown) => error instanceof errors.FST_ERR_TASK_CANCELLED
export class Service {
  constructor (private readonly app: FastifyInstance) {}
  start () { return this.app.addTask(async (_app, { signal }) => signal) }
  job () { return this.app.addJob('kind', {}) }
  get all () { return this.app.tasks }
}
`

const versions = ['5.4', '5.9', '7']
const folder = mkdtempSync(join(tmpdir(), 'fastify-tasks-typescript-'))
const compilers: Record<string, string> = { 6: tsc }
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

t.before(async () => {
  const packages = versions.map((version) => `typescript-${version}@npm:typescript@${version}`)
  const { code, stderr } = await execute('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...packages], folder)
  if (code !== 0) return t.comment(`ONLY THE TYPESCRIPT OF THE CHECKOUT IS TRIED, since others cannot be installed: ${stderr}`)
  for (const version of versions) compilers[version] = join(folder, 'node_modules', `typescript-${version}`, 'bin/tsc')
})

t.test('what apps without jobs import needs no types of the packages that jobs need', async (t) => {
  const { folder, write } = project(t)
  write('app.ts', ['', '/routes', '/feed', '/dashboard', '/types/task', '/types/process', '/types/errors'].map((path, i) => `import type * as part${i} from 'fastify-tasks${path}'\nexport type { part${i} }\n`).join(''))
  write('tsconfig.json', JSON.stringify({
    compilerOptions: { module: 'nodenext', target: 'es2022', lib: ['es2023', 'esnext.disposable'], types: ['node'], strict: true, skipLibCheck: false, noEmit: true, listFiles: true },
    files: ['app.ts']
  }))
  const { stdout } = await execute(process.execPath, [tsc, '-p', '.'], folder)
  t.match(stdout, 'fastify-tasks/dist/lib/control/feed/index.d.ts')
  t.notMatch(stdout, /node_modules\/(bullmq|ioredis|pg)\//)
  t.notMatch(stdout, /error TS/)
})

t.test("a user's exports that use the plugins have declarations", async (t) => {
  for (const [version, compiler] of Object.entries(compilers)) {
    await t.test(`of TypeScript ${version}`, async (t) => {
      const { folder, write } = project(t)
      write('library.ts', USER)
      // Its users have them checked against the same package.
      write('user.ts', `import { add, addJob } from './library.js'
        export const number = async (app: Parameters<typeof add>[0]): Promise<number> => await add(app)
        export const job = (app: Parameters<typeof add>[0]) => addJob(app)`)
      write('tsconfig.json', JSON.stringify({
        compilerOptions: {
          module: 'nodenext', target: 'es2022', lib: ['es2023', 'esnext.disposable'], types: ['node'], strict: true, skipLibCheck: true, declaration: true, outDir: 'dist', rootDir: '.'
        },
        files: ['library.ts', 'user.ts']
      }))
      const { stdout, stderr } = await execute(process.execPath, [compiler, '-p', '.'], folder)
      t.equal(stdout + stderr, '')
      const declarations = existsSync(join(folder, 'dist/library.d.ts')) ? readFileSync(join(folder, 'dist/library.d.ts'), 'utf8') : ''
      t.match(declarations, /Task<number>/)
      t.notMatch(declarations, /\/dist\/|node_modules/, 'which name what is exported alone')
    })
  }
})
