// The packed package as its users have it: each Node with each Fastify and @fastify/websocket, as ES module and CommonJS; Bun and
// Deno with the newest; the types under each TypeScript. Then the test suite on each Node with each Fastify. Needs the npm
// registry; takes about thirty minutes on two cores.
//
//   npm run test:compat                          all of it
//   npm run test:compat -- --no-suite            without the test suite
//   npm run test:compat -- --node 24 --fastify 5 one Node, one Fastify (each may be given several times)
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installNode } from '../../../scripts/install-node.mjs'

const { values } = parseArgs({ options: { 'no-suite': { type: 'boolean' }, node: { type: 'string', multiple: true }, fastify: { type: 'string', multiple: true } } })
const NODES = values.node ?? ['20.19.0', '22', '24', 'latest']
// With the oldest and the newest @fastify/websocket.
const FASTIFIES = Object.entries({ '5.0.0': ['11.3.2'], 5: ['11.3.2', '11'] }).filter(([version]) => values.fastify?.includes(version) ?? true)
// Each comes as a plain file in a package named after the platform.
const RUNTIMES = [
  { name: 'Bun', package: `@oven/bun-${process.platform}-${process.arch === 'arm64' ? 'aarch64' : 'x64'}`, path: 'bin/bun', args: [] },
  { name: 'Deno', package: `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}`, path: 'deno', args: ['run', '--allow-all', '--no-lock'] }
]
const TYPESCRIPTS = ['5.4', '5.9', '6', '7']
// What takes a minute for the sake of real processes and stores runs once, on the newest of both.
const SLOW = /faults|postgres|redis|processes/
// What judges the checkout, its documents and its tools, whatever runs it; and what packs the package itself.
const LEFT_OUT = /^(docs|ecosystem|examples|fixtures|long|readme|types)$|^(package|readme|release|repository)\./
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

const nodes = NODES.map((version) => installNode(version, join(work, `node-${version}`)))

execFileSync(process.execPath, [join(root, 'test/fixtures/pack.mjs'), join(work, 'packed')], { stdio: 'inherit' })
const tarball = join(work, 'packed/package.tgz')

const fastifies = FASTIFIES.flatMap(([range, websockets]) => websockets.map((websocket) => {
  const dir = project(`fastify-${range}-${websocket}`, [tarball, `fastify@${range}`, `@fastify/websocket@${websocket}`, 'bullmq@6', 'ioredis@6', 'pg@8',
    'ws@8', '@types/node@20', '@types/pg@8', '@types/ws'])
  for (const file of ['consumer.mjs', 'consumer.cjs']) copyFileSync(join(here, file), join(dir, file))
  return { version: installedVersion(dir, 'fastify'), websocket: installedVersion(dir, '@fastify/websocket'), dir }
}))

/** One of each Fastify. */
const distinct = fastifies.filter(({ version }, i) => fastifies.findLastIndex((other) => other.version === version) === i)

function checkConsumers (title, command, args, { version, websocket, dir }) {
  for (const file of ['consumer.mjs', 'consumer.cjs']) {
    check(`${title}, Fastify ${version}, @fastify/websocket ${websocket}, ${file.endsWith('mjs') ? 'ES module' : 'CommonJS'}`, command, [...args, file], { cwd: dir })
  }
}

for (const node of nodes) for (const fastify of fastifies) checkConsumers(`Node ${node.version}`, node.path, [], fastify)

for (const { name, package: runtime, path, args } of RUNTIMES) {
  let dir
  try {
    dir = project(name, [runtime])
  } catch {
    console.log(`${name.toUpperCase()} IS NOT TRIED: there is no package ${runtime}`)
    continue
  }
  checkConsumers(`${name} ${installedVersion(dir, runtime)}`, join(dir, 'node_modules', runtime, path), args, fastifies.at(-1))
}

for (const typescript of TYPESCRIPTS) {
  const compiler = project(`typescript-${typescript}`, [`typescript@${typescript}`])
  const version = installedVersion(compiler, 'typescript')
  for (const fastify of distinct) {
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

if (!values['no-suite']) {
  // Compiled once, and run by Node alone: a loader's own files, promises and handles would be counted with those of the tests.
  const suite = join(work, 'suite')
  const modules = join(suite, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const path of ['package.json', 'THIRD-PARTY-LICENSES', 'README.md', 'SECURITY.md', 'tsconfig.json', 'index.ts', 'lib', 'types', 'test', 'examples']) {
    cpSync(join(root, path), join(suite, path), { recursive: true })
  }
  for (const entry of readdirSync(join(root, 'node_modules'), { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name !== 'fastify') symlinkSync(join(root, 'node_modules', entry.name), join(modules, entry.name), 'junction')
  }
  writeFileSync(join(suite, 'tsconfig.suite.json'), JSON.stringify({ extends: './test/tsconfig.mutation.json', include: ['index.ts', 'lib', 'test/**/*.test.ts'] }))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.suite.json'], { cwd: suite, stdio: 'inherit' })

  const files = readdirSync(join(suite, 'test')).filter((name) => !LEFT_OUT.test(name)).flatMap((name) =>
    name.includes('.') ? [`test/${name}`] : readdirSync(join(suite, 'test', name), { recursive: true }).map((file) => `test/${name}/${file}`)
  ).filter((file) => file.endsWith('.test.js'))
  for (const { dir } of distinct) {
    rmSync(join(modules, 'fastify'), { recursive: true, force: true })
    symlinkSync(join(dir, 'node_modules', 'fastify'), join(modules, 'fastify'), 'junction')
    const version = installedVersion(suite, 'fastify')
    for (const node of nodes) {
      const newest = node === nodes.at(-1) && dir === distinct.at(-1).dir
      for (const file of files.filter((file) => newest || !SLOW.test(file))) {
        check(`${file}, Node ${node.version}, Fastify ${version}`, node.path, [file],
          { cwd: suite, timeout: 300_000, env: { ...process.env, TAP_TIMEOUT: '240', TAP_INVERT: '1', TAP_GREP: 'in a real browser' } })
      }
    }
  }
}

rmSync(work, { recursive: true, force: true })
const failed = results.filter(({ ok }) => !ok)
console.log(`\nNode ${nodes.map(({ version }) => version).join(', ')}; Fastify ${distinct.map(({ version }) => version).join(', ')}`)
for (const { title } of failed) console.log(`not ok ${title}`)
console.log(`${results.length - failed.length} passed, ${failed.length} failed, in ${((Date.now() - started) / 60_000).toFixed(1)} minutes`)
process.exitCode = failed.length > 0 ? 1 : 0
