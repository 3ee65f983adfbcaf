// Makes what tsc has written to dist/ smaller. It removes the declarations that no declaration of an entry point of the package leads
// to: they are of no use to anybody, and that of the page's assets repeats them all. And it indents by tabs: 2 kB of the tarball.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const { exports, typesVersions } = JSON.parse(readFileSync('package.json', 'utf8'))

const entries = [
  ...Object.values(exports).flatMap((target) => target.types ?? []),
  ...Object.values(typesVersions['*']).flat()
].map((path) => join(path))

const reached = new Set()

function follow (path) {
  if (reached.has(path)) return
  reached.add(path)
  for (const [, specifier] of readFileSync(path, 'utf8').matchAll(/(?:from |import\(|import |require\()['"](\.[^'"]*)['"]/g)) {
    const target = join(dirname(path), specifier.replace(/\.js$/, ''))
    follow([`${target}.d.ts`, join(target, 'index.d.ts')].find((file) => existsSync(file)))
  }
}

entries.forEach(follow)
for (const path of readdirSync('dist', { recursive: true }).map((name) => join('dist', name))) {
  if (path.endsWith('.d.ts') && !reached.has(path)) rmSync(path)
  else if (path.endsWith('.ts') || path.endsWith('.js')) writeFileSync(path, readFileSync(path, 'utf8').replace(/^(?: {4})+/gm, (indent) => '\t'.repeat(indent.length / 4)))
}
