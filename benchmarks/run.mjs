// `npm run bench [-- --node 24 …] [--check] [part of a figure's title …]`: the figures on this Node, or on each Node that is named,
// one after the other, from the npm registry.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installNode } from '../scripts/install-node.mjs'

const { values: { node = [], check }, positionals } = parseArgs({
  options: { node: { type: 'string', multiple: true }, check: { type: 'boolean' } },
  allowPositionals: true
})
const script = fileURLToPath(new URL('dist/benchmarks/index.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'fastify-tasks-bench-'))
try {
  const paths = node.length === 0 ? [process.execPath] : node.map((version) => installNode(version, join(folder, version)).path)
  for (const path of paths) {
    const { status } = spawnSync(path, [script, ...check ? ['--check'] : [], ...positionals], { stdio: 'inherit' })
    process.exitCode ||= status ?? 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
