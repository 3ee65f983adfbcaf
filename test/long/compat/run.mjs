// The packed package as its users have it: each Node with each Fastify, as ES module and CommonJS, and the types under each
// TypeScript. Then the test suite on each Node with each Fastify. Needs the npm registry; takes about
// twenty minutes on two cores.
//
//   npm run test:compat                 all of it
//   npm run test:compat -- --no-suite   without the test suite
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODES = ['20.19.0', '22', '24', 'latest']
const FASTIFIES = ['5.0.0', '5']
const TYPESCRIPTS = ['5.4', '5.9', '6', '7']
const SLOW = /faults|postgres|redis/
const RESOLUTIONS = { node10: 'commonjs', node16: 'node16', nodenext: 'nodenext', bundler: 'esnext' }

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..', '..')
const work = mkdtempSync(join(tmpdir(), 'fastify-tasks-compat-'))
const results = []
const started = Date.now()

const npm = (cwd, ...args) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
const installedVersion = (dir, name) => JSON.parse(readFileSync(join(dir, 'node_modules', name, 'package.json'), 'utf8')).version

/** A project of its own with these packages. */
function project (name, packages) {
  const dir = join(work, name)
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), '{ "private": true }')
  npm(dir, 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages)
  return dir
}

function check (title, command, args, options) {
  const before = Date.now()
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000, ...options })
  const ok = status === 0
  results.push({ title, ok })
  console.log(`${ok ? 'ok    ' : 'not ok'} ${title} (${((Date.now() - before) / 1000).toFixed(1)} s)`)
  if (ok) return
  // From the first failure on, if it tells of one.
  const lines = `${stdout}${stderr}`.split('\n')
  const first = lines.findIndex((line) => /^ *not ok/.test(line))
  console.log(lines.slice(first === -1 ? -40 : first).slice(0, 100).map((line) => `    ${line}`).join('\n'))
}

// The binaries come as plain files in packages named after the platform.
const nodes = NODES.map((version) => {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const dir = project(`node-${version}`, [`${name}@${version}`])
  return { version: installedVersion(dir, name), path: join(dir, 'node_modules', name, 'bin', 'node') }
})

// Beside the checkout, whose own build may be in use.
const built = join(work, 'package')
mkdirSync(built)
for (const file of ['package.json', 'README.md']) copyFileSync(join(root, file), join(built, file))
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', join(built, 'dist')], { cwd: root, stdio: 'inherit' })
cpSync(join(root, 'lib/control/dashboard/assets'), join(built, 'dist/lib/control/dashboard/assets'), { recursive: true })
const [{ filename }] = JSON.parse(npm(built, 'pack', '--json', '--ignore-scripts', '--pack-destination', work))
const tarball = join(work, filename)

const fastifies = FASTIFIES.map((range) => {
  const dir = project(`fastify-${range}`, [tarball, `fastify@${range}`, '@fastify/websocket@11', 'bullmq@6', 'ioredis@6', 'pg@8',
    '@types/node@20', '@types/pg@8', '@types/ws'])
  for (const file of ['consumer.mjs', 'consumer.cjs']) copyFileSync(join(here, file), join(dir, file))
  return { version: installedVersion(dir, 'fastify'), dir }
})

for (const node of nodes) {
  for (const fastify of fastifies) {
    for (const file of ['consumer.mjs', 'consumer.cjs']) {
      check(`Node ${node.version}, Fastify ${fastify.version}, ${file.endsWith('mjs') ? 'ES module' : 'CommonJS'}`, node.path, [file], { cwd: fastify.dir })
    }
  }
}

for (const typescript of TYPESCRIPTS) {
  const compiler = project(`typescript-${typescript}`, [`typescript@${typescript}`])
  const version = installedVersion(compiler, 'typescript')
  for (const fastify of fastifies) {
    for (const [moduleResolution, module] of Object.entries(RESOLUTIONS)) {
      // TypeScript 7 knows it no more.
      if (moduleResolution === 'node10' && Number(typescript.split('.')[0]) >= 7) continue
      const name = `${version}-${moduleResolution}`
      const dir = join(fastify.dir, name)
      mkdirSync(dir)
      const files = moduleResolution === 'node10' || moduleResolution === 'bundler' ? ['consumer.ts'] : ['consumer.ts', 'consumer.mts', 'consumer.cts']
      for (const file of files) copyFileSync(join(here, 'consumer.types.txt'), join(dir, file))
      writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
        compilerOptions: {
          module,
          moduleResolution,
          target: 'es2022',
          lib: ['es2023', 'esnext.disposable'],
          types: ['node'],
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          esModuleInterop: true,
          ...version.startsWith('6') && moduleResolution === 'node10' && { ignoreDeprecations: '6.0' }
        },
        files
      }))
      check(`TypeScript ${version}, ${moduleResolution}, Fastify ${fastify.version}`, process.execPath,
        [join(compiler, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', dir], { cwd: fastify.dir })
    }
  }
}

if (!process.argv.includes('--no-suite')) {
  // Compiled once, and run by Node alone: a loader's own files, promises and handles would be counted with those of the tests.
  const suite = join(work, 'suite')
  const modules = join(suite, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const path of ['package.json', 'README.md', 'SECURITY.md', 'tsconfig.json', 'index.ts', 'lib', 'types', 'test', 'examples']) {
    cpSync(join(root, path), join(suite, path), { recursive: true })
  }
  for (const entry of readdirSync(join(root, 'node_modules'), { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name !== 'fastify') symlinkSync(join(root, 'node_modules', entry.name), join(modules, entry.name), 'junction')
  }
  writeFileSync(join(suite, 'tsconfig.suite.json'), JSON.stringify({ extends: './test/tsconfig.mutation.json', include: ['index.ts', 'lib', 'test/**/*.test.ts'] }))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.suite.json'], { cwd: suite, stdio: 'inherit' })

  const files = ['test', 'test/tasks', 'test/control', 'test/shared', 'test/jobs'].flatMap((dir) => readdirSync(join(suite, dir)).map((name) => `${dir}/${name}`))
    // The two left out judge the checkout and its own tools, whatever runs them.
    .filter((file) => file.endsWith('.test.js') && !/package|readme/.test(file))
  for (const { dir } of fastifies) {
    rmSync(join(modules, 'fastify'), { recursive: true, force: true })
    symlinkSync(join(dir, 'node_modules', 'fastify'), join(modules, 'fastify'), 'junction')
    const version = installedVersion(suite, 'fastify')
    for (const node of nodes) {
      // What takes a minute for the sake of real processes and stores runs once, on the newest of both; the browser in `npm test`.
      const newest = node === nodes.at(-1) && dir === fastifies.at(-1).dir
      for (const file of files.filter((file) => newest || !SLOW.test(file))) {
        check(`${file}, Node ${node.version}, Fastify ${version}`, node.path, [file],
          { cwd: suite, timeout: 300_000, env: { ...process.env, TAP_TIMEOUT: '240', TAP_INVERT: '1', TAP_GREP: 'in a real browser' } })
      }
    }
  }
}

rmSync(work, { recursive: true, force: true })
const failed = results.filter(({ ok }) => !ok)
console.log(`\nNode ${nodes.map(({ version }) => version).join(', ')}; Fastify ${fastifies.map(({ version }) => version).join(', ')}`)
for (const { title } of failed) console.log(`not ok ${title}`)
console.log(`${results.length - failed.length} passed, ${failed.length} failed, in ${((Date.now() - started) / 60_000).toFixed(1)} minutes`)
process.exitCode = failed.length > 0 ? 1 : 0
