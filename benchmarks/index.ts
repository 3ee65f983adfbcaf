/** Measures, prints a table, judges: on the Node.js that runs it. */
import { readdirSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measure, type Figure, type Line, type Measured, type Verdict } from './harness'

async function main (): Promise<void> {
  const { values: { check }, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
  console.log(`Node ${process.version}, ${availableParallelism()} × ${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}`)
  const rows: string[] = []
  let missed = 0
  const folder = join(__dirname, 'figures')
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    for (const figure of require(file).default as Figure[]) {
      if (positionals.length > 0 && !positionals.some((part) => figure.title.includes(part))) continue
      const { medians, verdicts } = await measure(file, figure)
      console.log(`\n${figure.title} (${figure.unit}): ${describe(medians)}`)
      for (const verdict of verdicts) {
        rows.push(row(verdict))
        console.log(rows.at(-1))
        if (verdict.missed) missed++
      }
    }
  }
  console.log('\n| what | against | measured | ± | target | |\n| --- | --- | --- | --- | --- | --- |')
  console.log(rows.join('\n'))
  if (check && missed > 0) {
    console.error(`\n${missed} missed by more than this run's own noise`)
    process.exitCode = 1
  }
}

function describe (medians: Measured): string {
  return Object.entries(medians).map(([name, value]) => `${name} ${show(value)}`).join(' · ')
}

function row (verdict: Verdict): string {
  const { line, value, noise } = verdict
  return `| ${line.what} | ${line.against} | ${show(value)}${unitOf(line)} | ${show(noise)} | ${target(line)} | ${judge(verdict)} |`
}

function judge ({ line, value, missed }: Verdict): string {
  if (!hasTarget(line)) return ''
  return missed ? 'missed' : within(line, value) ? 'met' : 'undecided'
}

function target (line: Line): string {
  if (!hasTarget(line)) return ''
  return (line.atMost !== undefined ? `≤ ${line.atMost}` : `≥ ${line.atLeast}`) + unitOf(line)
}

function hasTarget ({ atMost, atLeast }: Line): boolean {
  return atMost !== undefined || atLeast !== undefined
}

function unitOf (line: Line): string {
  return line.unit ?? ' ×'
}

function within (line: Line, value: number): boolean {
  return value <= (line.atMost ?? Infinity) && value >= (line.atLeast ?? -Infinity)
}

function show (value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2)
}

main()
