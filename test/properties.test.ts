import fc from 'fast-check'
import t, { type Test } from 'tap'
import { mostlyTime, sequence, type Command } from './fixtures/task-model/commands'
import { TaskModel } from './fixtures/task-model/model'

// PROPERTY_RUNS=100000 for the long pass; PROPERTY_SEED repeats a run that failed.
const runs = Number(process.env.PROPERTY_RUNS ?? 2_000)
const seed = process.env.PROPERTY_SEED === undefined ? undefined : Number(process.env.PROPERTY_SEED)

async function holds (t: Test, sequences: fc.Arbitrary<Command[]>, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(fc.nat(3), sequences, (keepEnded, commands) => new TaskModel(keepEnded).run(commands))
  const report = await fc.check(property, { numRuns, seed, includeErrorInReport: true })
  t.notOk(report.failed, fc.defaultReportMessage(report) ?? 'no sequence fails')
  t.comment(`${report.numRuns} sequences, seed ${report.seed}`)
}

t.test('after any sequence of calls, the tasks match the model', { timeout: 3_600_000 }, async (t) => {
  await holds(t, sequence, runs)
})

t.test('a lease is never early and at most four ticks late, however its heartbeats and stalls fall', { timeout: 3_600_000 }, async (t) => {
  await holds(t, fc.array(mostlyTime, { maxLength: 20, size: 'max' }).map((commands) => [{ do: 'open' }, ...commands]), Math.ceil(runs / 4))
})
