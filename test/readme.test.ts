// Runs every code block of README.md.
//
// - ```ts is an ES module, ```js a CommonJS one. Each runs in a process of its own, against the sources. It must type-check
//   (ts), end by itself with code 0, and log nothing at `error`.
// - A block that does not make its own `const app` finds one: a Fastify app with the plugin registered, not yet ready.
// - When the block is through, every app it made is booted and closed. A port it listens on is replaced by a free one.
// - A line `expression // → value` must equal the value; a line `expression // throws CODE` must throw an error of that code.
// - Hidden code: a comment `<!-- given … -->` right before a block runs before it, `<!-- then … -->` right after it runs
//   after it, in the same module. `assert` is at hand, and `test/…` imports from this folder:
//
//     <!-- given
//     import { connection } from 'test/fixtures/redis'
//     -->
//     ```ts
//     await app.register(fastifyJobs, { connection })
//     ```
//     <!-- then
//     assert.ok(app.hasDecorator('addJob'))
//     -->
//
// - ```sh holds lines of `npm install <known packages>`, `npm start`, `npm test`, `npm run <script>`, and `curl …`, which
//   is run against examples/app.ts and must be answered. ```json must parse.
// - Any other block, and an indented one, fails: teach `check` below how to run it.
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { FastifyError } from 'fastify'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { errors } from '..'
import { run, startExample } from './fixtures/child'

const root = resolve(__dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

interface Block {
  language: string
  code: string
  /** Where it starts in the README. */
  line: number
  given: string
  then: string
}

const BLOCK = /(?:^<!-- given\n(?<given>(?:(?!-->)[^])*?)-->\n+)?^```(?<language>\S*)[^\n]*\n(?<code>[^]*?)^```$(?:\n+<!-- then\n(?<then>(?:(?!-->)[^])*?)-->)?/gm

const blocks = [...readme.matchAll(BLOCK)].map((match): Block => {
  const { given = '', language, code, then = '' } = match.groups!
  const start = match.index + match[0].indexOf('```')
  return { language, code, given, then, line: readme.slice(0, start).split('\n').length }
})

const APP = `import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'
const app = Fastify({ logger: { level: 'error' } })
await app.register(fastifyTasks)
`

/** The module that a block is, without its checks. */
function moduleOf ({ language, code, given, then }: Block): string {
  if (language === 'js') return `const assert = require('node:assert/strict')\n${given}${code}${then}`
  const app = /^const app\b/m.test(given + code) ? '' : APP
  // Blocks that bring what the given app is made of import it once.
  const prelude = app.split('\n').filter((line) => !line.startsWith('import') || !(given + code).includes(line)).join('\n')
  return `import assert from 'node:assert/strict'\n${prelude}${given}${code}${then}\nexport {}\n`
}

const EXPECTED = /^(?<indent>\s*)(?<expression>\S.*?)\s+\/\/ (?:→ (?<value>.+)|throws (?<error>FST_\w+))$/gm

function withChecks (code: string): string {
  return code.replace(EXPECTED, (...match) => {
    const { indent, expression, value, error } = match.at(-1)
    return error === undefined
      ? `${indent};assert.deepEqual((${expression}), (${value}))`
      : `${indent};await assert.rejects(async () => (${expression}), { code: '${error}' })`
  })
}

// A folder whose modules find the project's packages, and the project itself in its sources.
const folder = mkdtempSync(join(tmpdir(), 'readme-'))
t.teardown(() => rmSync(folder, { recursive: true }))
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
const sources = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')).compilerOptions.paths as Record<string, string[]>
const paths: Record<string, string[]> = { 'test/*': [join(root, 'test/*')] }
for (const [specifier, [file]] of Object.entries(sources)) paths[specifier] = [join(root, file)]
const tsconfig = join(folder, 'tsconfig.json')
writeFileSync(tsconfig, JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions: { rootDir: '/', paths } }))

async function runModule (t: Test, block: Block): Promise<void> {
  const file = join(folder, `line-${block.line}.${block.language === 'js' ? 'cjs' : 'mts'}`)
  writeFileSync(file, withChecks(moduleOf(block)))
  const { code, output } = await run(t, [join(root, 'test/fixtures/readme/run-block.mts'), file], { env: { TSX_TSCONFIG_PATH: tsconfig } })
  t.equal(code, 0, output)
  t.match(output, /^The block is through$/m)
  t.notMatch(output, /"level":[5-9]\d/, 'logs no error')
}

async function checkCommand (t: Test, command: string): Promise<void> {
  const [program, verb, ...rest] = command.replace(/\s+#.*$/, '').split(/\s+/)
  if (program === 'npm' && /^(i|install)$/.test(verb)) {
    const known = { [manifest.name]: '', ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.devDependencies }
    t.strictSame(rest.filter((name) => !name.startsWith('-') && !(name in known)), [], 'installs packages that are tested here')
  } else if (program === 'npm') {
    const script = verb === 'run' ? rest[0] : verb
    t.ok(verb === 'ci' || script in manifest.scripts, `there is a script ${script}`)
  } else if (program === 'curl') {
    const { url } = await startExample(t, 'app.ts', /http:\/\/\S+/)
    const { code, output } = await run(t, ['-fsS', '--max-time', '10', ...shellWords(command).slice(1).map((word) =>
      word.replace(/^(?:http:\/\/)?(?:localhost|127\.0\.0\.1):3000/, url))], { program: 'curl' })
    t.equal(code, 0, output)
  } else {
    t.fail(`nobody knows how to run: ${command}`)
  }
}

function shellWords (command: string): string[] {
  return (command.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^(['"])(.*)\1$/, '$2'))
}

async function check (t: Test, block: Block): Promise<void> {
  switch (block.language) {
    case 'ts':
    case 'js':
      return await runModule(t, block)
    case 'sh':
      for (const command of block.code.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))) await checkCommand(t, command)
      return
    case 'json':
      t.doesNotThrow(() => JSON.parse(block.code))
      return
    default:
      t.fail(`a block of language '${block.language}' is not run by anybody`)
  }
}

t.jobs = 2

t.test('every fence of the README belongs to a block that is run', async (t) => {
  t.ok(blocks.length > 0)
  t.equal(readme.match(/^\s*```/gm)!.length, 2 * blocks.length)
  t.equal(readme.match(/<!-- (given|then)$/gm)?.length ?? 0, blocks.flatMap(({ given, then }) => [given, then]).filter(Boolean).length)
})

t.test('every TypeScript block of the README type-checks', async (t) => {
  const files = new Map(blocks.filter(({ language }) => language === 'ts').map((block) =>
    [join(folder, `types-${block.line}.mts`), moduleOf(block)]))
  for (const [file, code] of files) writeFileSync(file, code)
  const { config } = ts.readConfigFile(tsconfig, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, folder)
  const program = ts.createProgram([...files.keys()], {
    ...options, noEmit: true, noUnusedLocals: false, noUnusedParameters: false, typeRoots: [join(root, 'node_modules/@types')]
  })
  const diagnostics = ts.getPreEmitDiagnostics(program).filter(({ file }) => file === undefined || files.has(file.fileName))
  t.equal(ts.formatDiagnostics(diagnostics, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => folder,
    getNewLine: () => '\n'
  }), '')
})

for (const block of blocks) {
  t.test(`the ${block.language} block at line ${block.line} of the README runs as it stands`, (t) => check(t, block))
}

t.test("the README's table of errors is that of the code, both ways", async (t) => {
  const documented = [...readme.matchAll(/^\| `(FST_ERR_\w+)` \| (\d+) \| .+ \|$/gm)].map(([, code, status]) => [code, Number(status)])
  const exported = Object.entries(errors).map(([name, TaskError]) => {
    const error = new (TaskError as new (...args: string[]) => FastifyError)('a', 'b', 'c')
    t.equal(error.code, name)
    return [error.code, error.statusCode]
  })
  t.same(documented.sort(), exported.sort())
})
