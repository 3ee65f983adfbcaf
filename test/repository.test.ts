import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'

const root = resolve(__dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const { scripts, engines } = JSON.parse(read('package.json'))
const workflows = readdirSync(join(root, '.github/workflows')).map((file) => `.github/workflows/${file}`)

/** The scripts that a text runs by `npm run <script>`, `npm test` and the like. */
const scriptsOf = (text: string): string[] =>
  Array.from(text.matchAll(/\bnpm (?:run (?:--silent )?([a-z][\w:-]*)|(test|start)\b)/g), ([, run, command]) => run ?? command)

t.test('every script that CI and the contributors\' guide run is there', async (t) => {
  for (const path of [...workflows, '.ci/run', 'CONTRIBUTING.md', 'SECURITY.md']) {
    for (const script of scriptsOf(read(path).replace(/^ *#.*$/gm, ''))) t.ok(script in scripts, `${path}: npm run ${script}`)
  }
  t.same(scriptsOf('npm test, `npm run lint:fix` and npm run fuzz -- 3'), ['test', 'lint:fix', 'fuzz'])
})

t.test('every file that CONTRIBUTING.md and SECURITY.md name is there', async (t) => {
  const paths = Array.from((read('CONTRIBUTING.md') + read('SECURITY.md')).matchAll(/`((?:test|docs|lib|examples|types|\.ci|\.github)\/[\w./-]*)`/g), ([, path]) => path)
  t.ok(paths.length > 3)
  for (const path of paths) t.ok(existsSync(join(root, path)), path)
})

t.test('CI runs the tests on the oldest supported version of Node.js', async (t) => {
  const [, versions] = /node: \[(.+)\]/.exec(read('.github/workflows/ci.yml'))!
  t.equal(versions.split(', ')[0], /\d+/.exec(engines.node)![0])
})
