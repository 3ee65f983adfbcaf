import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { run } from './fixtures/child'

const root = resolve(__dirname, '..')
const script = join(root, 'scripts/check-release.mjs')

const ADDRESSES = {
  repository: { type: 'git', url: 'git+https://github.com/fastify/fastify-tasks.git' },
  homepage: 'https://github.com/fastify/fastify-tasks#readme',
  bugs: { url: 'https://github.com/fastify/fastify-tasks/issues' }
}
const CHANGELOG = '# Changelog\n\n## [2.0.0] - 2026-12-01\n\n## [1.0.0] - 2026-11-21\n'

/** Checks a repository with this manifest, this changelog and, if given, one more file that is not committed. */
async function check (t: Test, manifest: object, { changelog = CHANGELOG, stray = false } = {}): Promise<{ code: number | null, output: string }> {
  const folder = t.testdir({ 'package.json': JSON.stringify({ name: 'x', version: '2.0.0', ...manifest }), 'CHANGELOG.md': changelog })
  const git = (...args: string[]): void => {
    execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@localhost', ...args], { cwd: folder, stdio: 'ignore' })
  }
  git('init')
  git('add', '.')
  git('commit', '-m', 'x')
  if (stray) writeFileSync(join(folder, 'stray.txt'), '')
  return await run(t, [script], { cwd: folder })
}

t.test('a package with its addresses, its section of the changelog and nothing uncommitted can be published', async (t) => {
  t.same(await check(t, ADDRESSES), { code: 0, output: 'Version 2.0.0 can be published\n' })
  t.equal((await check(t, { ...ADDRESSES, repository: 'https://git.acme.io/tasks', bugs: 'https://git.acme.io/tasks/issues' })).code, 0)
})

for (const field of Object.keys(ADDRESSES)) {
  t.test(`a package without ${field} cannot be published`, async (t) => {
    for (const value of [undefined, '', {}, 'git@github.com:fastify/tasks', 'https://github.com/OWNER/fastify-tasks']) {
      const { code, output } = await check(t, { ...ADDRESSES, [field]: value })
      t.equal(code, 1, JSON.stringify(value))
      t.match(output, `package.json: ${field} `)
      t.equal(output.trim().split('\n').length, 1, 'and nothing else is wrong')
    }
  })
}

t.test('a version whose section is missing, undated or not the first cannot be published', async (t) => {
  for (const heading of ['', '## [2.0.0] - Unreleased\n', '## [2.0.1] - 2026-12-02\n\n## [2.0.0] - 2026-12-01\n', '## [2x0.0] - 2026-12-01\n']) {
    const { code, output } = await check(t, ADDRESSES, { changelog: `# Changelog\n\n${heading}` })
    t.equal(code, 1)
    t.match(output, 'CHANGELOG.md: the first section must be "## [2.0.0] - <date>"')
  }
})

t.test('uncommitted changes cannot be published', async (t) => {
  const { code, output } = await check(t, ADDRESSES, { stray: true })
  t.equal(code, 1)
  t.match(output, 'stray.txt')
})

t.test('npm run release checks before it builds, and builds before it publishes', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.equal(scripts['check:release'], 'node scripts/check-release.mjs')
  t.match(scripts.release, /^npm run check:release && npm run build && .*npm publish$/)
  t.match(scripts.prepublishOnly, 'npm run check:release', 'also where npm runs the scripts of a package by itself')
})
