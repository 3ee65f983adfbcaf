// Runs every check by name, the later ones too when one has failed, and ends with the totals: each assertion of tap counts
// as one, and so does each other check. Arguments choose the checks: `node test/all.mjs lint test:unit`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TAP = ['test:unit', 'test:processes']
// Side by side: each of these uses one core. The first lane writes the build.
const LANES = [['build', 'test:package'], ['lint', 'typecheck', 'test:types']]

/** @param isAlone its output is shown as it comes, and not at its end */
async function run (check, { isAlone }) {
  if (isAlone) console.log(`\n> ${check}`)
  const child = spawn('npm', ['run', '--silent', check], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    if (isAlone) process.stdout.write(text)
  })
  const [code] = await once(child, 'close')
  if (!isAlone) console.log(`\n> ${check}\n${output}`)
  return { ok: code === 0, output }
}

/** The counts in the line that tap ends its run with: `# { total: 13, pass: 12, fail: 1 }`. */
function tapCounts (output) {
  const [, summary = ''] = output.match(/[^]*^# \{ (.*) \}$/m) ?? []
  const counts = Object.fromEntries(Array.from(summary.matchAll(/(\w+): (\d+)/g), ([, key, count]) => [key, Number(count)]))
  return { pass: counts.pass ?? 0, fail: counts.fail ?? 0, skip: (counts.skip ?? 0) + (counts.todo ?? 0) }
}

const chosen = process.argv.slice(2)
const isChosen = (check) => chosen.length === 0 || chosen.includes(check)
const packed = mkdtempSync(join(tmpdir(), 'fastify-tasks-package-'))
const totals = { pass: 0, fail: 0, skip: 0 }
const failed = []
const failures = []

/** Packs the package and installs it once, for all test files that are about it as its users have it. */
async function pack () {
  const child = spawn(process.execPath, [fileURLToPath(new URL('fixtures/pack.mjs', import.meta.url)), packed], { stdio: 'inherit' })
  // When it fails, each of them says so.
  if ((await once(child, 'close'))[0] === 0) process.env.TEST_PACKAGE = packed
}

async function runAll (checks, { isAlone }) {
  for (const check of checks.filter(isChosen)) {
    const { ok, output } = await run(check, { isAlone })
    const counts = TAP.includes(check) ? tapCounts(output) : { pass: ok ? 1 : 0, fail: ok ? 0 : 1, skip: 0 }
    if (!ok || counts.fail > 0 || counts.pass === 0) {
      failed.push(check)
      failures.push(`> ${check}\n${output.replace(/^ok .*\n/gm, '')}`)
      // No assertion failed, yet tap did: the coverage is incomplete, or the run never came to its end.
      counts.fail ||= 1
    }
    for (const key in totals) totals[key] += counts[key]
  }
}

await Promise.all(LANES.map(async (lane, i) => {
  if (i === 0 && isChosen('test:processes')) await pack()
  await runAll(lane, { isAlone: false })
}))
await runAll(TAP, { isAlone: true })

rmSync(packed, { recursive: true, force: true })
// Once more at the end, where somebody looks who has the last lines alone.
if (failed.length > 0) console.log(`\nFailed: ${failed.join(', ')}\n\n${failures.join('\n')}`)
console.log(`\n${totals.pass} passed, ${totals.fail} failed${totals.skip > 0 ? `, ${totals.skip} skipped` : ''}`)
process.exitCode = failed.length > 0 ? 1 : 0
