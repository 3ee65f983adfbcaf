import { cpSync, symlinkSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { execute, project, root } from '../fixtures/packed'

t.setTimeout(120_000)

const bin = (path: string): string => join(root, 'node_modules', path)

const RUNNERS = {
  vitest: [bin('vitest/vitest.mjs'), 'run', '--dir', '.', '--reporter', 'verbose', '--config', 'vitest.config.mjs'],
  jest: [bin('jest/bin/jest.js'), '--rootDir', '.', '--testMatch', '**/jest.cjs', '--verbose', '--no-cache'],
  'node:test': ['--test', 'node.cjs']
}

for (const [runner, args] of Object.entries(RUNNERS)) {
  t.test(`under the fake time of ${runner} tasks start, end and are cancelled, and other apps go on`, async (t) => {
    const { folder, write } = project(t)
    cpSync(join(__dirname, 'fake-timers'), folder, { recursive: true })
    write('vitest.config.mjs', "export default { test: { include: ['vitest.mjs'] } }")
    // The runner itself is no part of what the project has installed.
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(bin('vitest'), join(folder, 'node_modules/vitest'), 'junction')
    const { code, stdout, stderr } = await execute(process.execPath, args, folder)
    t.equal(code, 0, stdout + stderr)
  })
}
