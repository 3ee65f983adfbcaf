import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { execute, manifest, packed, project, root, tsc } from './fixtures/packed'

t.setTimeout(120_000)

// Besides the plugin itself, its manifest, and the types that a user's declarations refer to.
const subpaths = Object.keys(manifest.exports).filter((path) => /^\.\/\w+$/.test(path)).map((path) => path.slice(2))
const typeFiles = readdirSync(join(root, 'types')).map((file) => `types/${file.replace('.ts', '')}`)

const use = `
  const app = Fastify()
  await app.register(plugin)
  await app.ready()
  console.log(await app.addTask(async () => 42), typeof errors.FST_ERR_TASKS_CLOSED)
  await app.close()
`

t.test('the tarball holds what a user needs and nothing else', async (t) => {
  const paths: string[] = JSON.parse(readFileSync(join(packed, 'files.json'), 'utf8'))
  t.same(paths.filter((path) => !/^dist\/.*\.(js|d\.ts)$|^docs\/[\w-]+\.md$/.test(path)).sort(), ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES', 'package.json'])
  t.ok(statSync(join(packed, 'package.tgz')).size < 200_000)
  t.notOk(paths.some((path) => /^test|\.tst\.|\.test\./.test(path)))
  for (const [path, target] of Object.entries(manifest.exports)) {
    for (const file of typeof target === 'string' ? [target] : Object.values(target as object)) t.ok(paths.includes(file.slice(2)), `${path}: ${file}`)
  }
})

t.test('older resolvers of TypeScript find every subpath, including every file of types', async (t) => {
  const targets = (path: string): string => manifest.exports[`./${path}`].types
  t.same(manifest.typesVersions['*'], Object.fromEntries([...subpaths, ...typeFiles, 'types/errors'].map((path) => [path, [targets(path)]])))
})

t.test('the run-time dependencies are fastify-plugin and @fastify/error, and fastify is a peer', async (t) => {
  t.same(Object.keys(manifest.dependencies).sort(), ['@fastify/error', 'fastify-plugin'])
  t.equal(manifest.peerDependencies.fastify, '5.x')
})

t.test('an ES module imports it', async (t) => {
  const { write, node } = project(t)
  write('default.mjs', `import Fastify from 'fastify'
    import plugin, { errors, fastifyTasks } from 'fastify-tasks'
    if (plugin !== fastifyTasks) throw new Error('two plugins')
    ${use}`)
  t.equal(await node('default.mjs'), '42 function\n')
})

t.test('an ES module registers its import', async (t) => {
  const { write, node } = project(t)
  write('import.mjs', `import Fastify from 'fastify'
    import { errors } from 'fastify-tasks'
    const plugin = import('fastify-tasks')
    ${use}`)
  t.equal(await node('import.mjs'), '42 function\n')
})

t.test('a CommonJS module requires it, and gets the same plugin', async (t) => {
  const { write, node } = project(t)
  write('require.cjs', `const Fastify = require('fastify')
    const plugin = require('fastify-tasks')
    const { errors, default: same } = plugin
    if (plugin !== same) throw new Error('two plugins')
    async function main () { ${use} }
    main()`)
  t.equal(await node('require.cjs'), '42 function\n')
})

t.test('every subpath is required and imported, whether or not the optional peers are installed', async (t) => {
  const { write, node } = project(t)
  const optional = Object.keys(manifest.peerDependenciesMeta)
  write('subpaths.mjs', `import Module, { createRequire } from 'node:module'
    const resolve = Module._resolveFilename
    Module._resolveFilename = function (name, ...more) {
      if (process.argv[2] === 'none' && ${JSON.stringify(optional)}.includes(name)) {
        throw Object.assign(new Error('Cannot find module ' + name), { code: 'MODULE_NOT_FOUND' })
      }
      return resolve.call(this, name, ...more)
    }
    const require = createRequire(import.meta.url)
    for (const path of ${JSON.stringify(subpaths)}) {
      const { default: imported } = await import('fastify-tasks/' + path)
      console.log(path, typeof imported, imported === require('fastify-tasks/' + path))
    }`)
  const expected = subpaths.map((path) => `${path} function true\n`).join('')
  t.equal(await node('subpaths.mjs', 'all'), expected)
  t.equal(await node('subpaths.mjs', 'none'), expected)
})

for (const [kind, extension] of [['an ES module', 'mts'], ['a CommonJS module', 'cts']]) {
  t.test(`TypeScript compiles ${kind} under nodenext`, async (t) => {
    const { folder, write } = project(t)
    const file = write(`types.${extension}`, `import Fastify from 'fastify'
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
    const { stdout } = await execute(process.execPath, [tsc, '--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--target', 'es2022',
      '--lib', 'es2023,esnext.disposable', '--types', 'node', file], folder)
    t.equal(stdout, '')
  })
}
