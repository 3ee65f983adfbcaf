import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const root = resolve(__dirname, '..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const subpaths = Object.keys(manifest.exports).filter((path) => path !== '.' && path !== './package.json').map((path) => path.slice(2))

const folder = mkdtempSync(join(tmpdir(), 'fastify-tasks-package-'))
const stage = join(folder, 'stage')
const consumer = join(folder, 'consumer')
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

// What a test runner sets for its children is not for these.
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(NODE_OPTIONS|_?TAP|npm_)/.test(key)))

const node = async (file: string): Promise<string> => (await run(process.execPath, [file], { cwd: consumer, env })).stdout
const write = (file: string, text: string): void => writeFileSync(join(consumer, file), text)

const use = `
  const app = Fastify()
  await app.register(plugin)
  await app.ready()
  console.log(await app.addTask(async () => 42), typeof errors.FST_ERR_TASKS_CLOSED)
  await app.close()
`

t.before(async () => {
  // A build and a folder of its own: other processes may be building in the checkout.
  for (const path of [stage, consumer]) mkdirSync(path)
  for (const path of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'docs', 'examples', 'lib', 'test', 'index.ts', 'tsconfig.json']) {
    if (existsSync(join(root, path))) cpSync(join(root, path), join(stage, path), { recursive: true })
  }
  // It writes its files whatever it thinks of the types; those are checked by name in npm test.
  await run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(stage, 'dist')], { cwd: root, env }).catch(() => {})
})

t.test('the tarball holds what a user needs and nothing else', async (t) => {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: stage, env })
  const [{ files, filename }] = JSON.parse(stdout) as Array<{ files: Array<{ path: string }>, filename: string }>
  const paths = files.map(({ path }) => path)
  t.same(paths.filter((path) => !/^dist\/.*\.(js|d\.ts)$|^docs\/[\w-]+\.(md|png)$|^examples\/([\w-]+\/)?[\w-]+\.c?[jt]s$/.test(path)).sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
  t.notOk(paths.some((path) => /^test|\.tst\.|\.test\./.test(path)))
  for (const [path, target] of Object.entries(manifest.exports)) {
    for (const file of typeof target === 'string' ? [target] : Object.values(target as object)) t.ok(paths.includes(file.slice(2)), `${path}: ${file}`)
  }
  write('package.json', JSON.stringify({ private: true, overrides: manifest.overrides }))
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', join(folder, filename), 'fastify@5'], { cwd: consumer, env })
  t.ok(existsSync(join(consumer, 'node_modules/fastify-tasks/dist/index.js')))
})

t.test('the run-time dependencies are fastify-plugin and @fastify/error, and fastify is a peer', async (t) => {
  t.same(Object.keys(manifest.dependencies).sort(), ['@fastify/error', 'fastify-plugin'])
  t.equal(manifest.peerDependencies.fastify, '5.x')
})

t.test('an ES module imports it', async (t) => {
  write('default.mjs', `import Fastify from 'fastify'
    import plugin, { errors, fastifyTasks } from 'fastify-tasks'
    if (plugin !== fastifyTasks) throw new Error('two plugins')
    ${use}`)
  t.equal(await node('default.mjs'), '42 function\n')
})

t.test('an ES module registers its import', async (t) => {
  write('import.mjs', `import Fastify from 'fastify'
    import { errors } from 'fastify-tasks'
    const plugin = import('fastify-tasks')
    ${use}`)
  t.equal(await node('import.mjs'), '42 function\n')
})

t.test('a CommonJS module requires it, and gets the same plugin', async (t) => {
  write('require.cjs', `const Fastify = require('fastify')
    const plugin = require('fastify-tasks')
    const { errors, default: same } = plugin
    if (plugin !== same) throw new Error('two plugins')
    async function main () { ${use} }
    main()`)
  t.equal(await node('require.cjs'), '42 function\n')
})

t.test('every subpath is required and imported', async (t) => {
  // The optional peers, as somebody who uses the subpaths has installed them.
  for (const peer of Object.keys(manifest.peerDependenciesMeta)) {
    const target = join(consumer, 'node_modules', peer)
    if (existsSync(target)) continue
    mkdirSync(resolve(target, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', peer), target)
  }
  write('subpaths.mjs', `import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
    for (const path of ${JSON.stringify(subpaths)}) {
      const { default: imported } = await import('fastify-tasks/' + path)
      console.log(path, typeof imported, imported === require('fastify-tasks/' + path))
    }`)
  t.equal(await node('subpaths.mjs'), subpaths.map((path) => `${path} function true\n`).join(''))
})

for (const [kind, extension] of [['an ES module', 'mts'], ['a CommonJS module', 'cts']]) {
  t.test(`TypeScript compiles ${kind} under nodenext`, async (t) => {
    const file = `types.${extension}`
    write(file, `import Fastify from 'fastify'
      import fastifyTasks, { errors } from 'fastify-tasks'
      import type { Task, TaskState } from 'fastify-tasks'
      ${subpaths.map((path) => `import ${path} from 'fastify-tasks/${path}'`).join('\n')}
      export const app = Fastify()
      app.register(fastifyTasks, { keepEnded: 1 })
      app.register(import('fastify-tasks'))
      export const task: Task<number> = app.addTask(async (_app, { signal }) => signal.aborted ? 0 : 1, { name: 'a' })
      export const state: TaskState = task.state
      export const closed: Error = new errors.FST_ERR_TASKS_CLOSED()
      // @ts-expect-error the result is a number
      export const wrong: Task<string> = app.addTask(() => 1)
      export const plugins = [${subpaths.join(', ')}]`)
    const args = [tsc, '--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--target', 'es2022', '--lib', 'es2023,esnext.disposable',
      '--types', 'node', '--typeRoots', join(root, 'node_modules/@types'), file]
    const output = await run(process.execPath, args, { cwd: consumer, env }).then(({ stdout }) => stdout, ({ stdout }) => stdout)
    t.equal(output, '')
  })
}
