import fc from 'fast-check'
import t, { type Test } from 'tap'
import { TaskModel, type Command } from './fixtures/task-model'

// PROPERTY_RUNS=100000 for the long pass; PROPERTY_SEED repeats a run that failed.
const runs = Number(process.env.PROPERTY_RUNS ?? 2_000)
const seed = process.env.PROPERTY_SEED === undefined ? undefined : Number(process.env.PROPERTY_SEED)

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const task = fc.nat(9)
const ms = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(20, 30, 50, 120))
const outcome = fc.constantFrom('returns', 'throws', 'throws an AbortError', 'throws the reason')

const add = fc.record({
  do: fc.constant('add'),
  work: fc.constantFrom('function', 'function', 'function', 'promise'),
  begins: fc.oneof({ weight: 4, arbitrary: fc.constant('waits') }, { weight: 1, arbitrary: outcome }),
  whenTold: fc.constantFrom('ignores', 'cleans up slowly', 're-enters', 'returns', 'throws', 'throws an AbortError', 'throws the reason'),
  name: optional(fc.constantFrom('a', 'b', 'c', 'task-2')),
  ttl: optional(fc.constantFrom(1, 5, 25, 70, 100)),
  outer: optional(fc.nat(1)),
  onClose: optional(fc.constantFrom('cancel', 'wait')),
  group: optional(fc.constantFrom('a', 'b')),
  timeout: fc.option(fc.constantFrom(1, 5, 25), { nil: undefined, freq: 2 })
})

const addBadly = fc.oneof(
  fc.record({ do: fc.constant('add badly'), work: fc.constantFrom<unknown>(undefined, null, 7, 'work', {}, { then: 1 }) }),
  fc.record({
    do: fc.constant('add badly'),
    work: fc.constant(() => {}),
    options: fc.constantFrom<unknown>(null, 7, 'a', { name: '' }, { name: 7 }, { name: null }, { ttl: 0 }, { ttl: 1.5 }, { ttl: 2 ** 31 },
      { ttl: '5' }, { ttl: NaN }, { signal: {} }, { signal: null }, { onClose: 'kill' }, { unknown: 1 }, { name: 'a', ttl: -1 }, { timeout: 0 }, { group: '' })
  })
)

const command = fc.oneof(
  { weight: 6, arbitrary: add },
  { weight: 1, arbitrary: addBadly },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), task, outcome }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('cancel', 'stop', 'stop', 'dispose', 'heartbeat', 'heartbeat', 'await'), task }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('progress'),
      task,
      value: fc.constantFrom<unknown>(0, 50, 100, { done: 1 }, -1, 101, NaN, 'half', null, [1])
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort outer'), outer: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('react'),
      to: fc.constantFrom('start', 'progress', 'end'),
      by: fc.constantFrom('cancelling it', 'stopping it', 'adding one of its name', 'purging', 'throwing', 'rejecting')
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('limit'),
      group: fc.constantFrom('a', 'b'),
      concurrency: fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined, freq: 5 }),
      maxPending: optional(fc.integer({ min: 1, max: 2 }))
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop group'), group: fc.constantFrom('a', 'b') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('await idle'), group: optional(fc.constantFrom('a', 'b')) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pass'), ms }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('stall', 'stall, then heartbeats'), ms: fc.constantFrom(1, 2, 5, 30, 200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set the wall clock'), ms: fc.constantFrom(-900_000, -10, 10, 900_000) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('turn', 'turn', 'settle promises', 'purge', 'stop unknown', 'open') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('begin to close', 'close') }) }
) as fc.Arbitrary<Command>

// Most apps are ready before anything interesting happens.
const sequence = fc.tuple(fc.boolean(), fc.array(command, { maxLength: 30, size: 'max' }))
  .map(([ready, commands]): Command[] => ready ? [{ do: 'open' }, ...commands] : commands)

const mostlyTime = fc.oneof(
  fc.record({
    do: fc.constant('add'),
    work: fc.constant('function'),
    begins: fc.constant('waits'),
    whenTold: fc.constant('throws the reason'),
    ttl: fc.constantFrom(70, 96, 100)
  }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('heartbeat'), task }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 60, max: 100 })) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('stall', 'stall, then heartbeats'), ms: fc.constantFrom(1, 2, 4, 5, 6, 7, 50) }) }
) as fc.Arbitrary<Command>

async function holds (t: Test, sequences: fc.Arbitrary<Command[]>, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(fc.nat(3), sequences, (keepEnded, commands) => new TaskModel(keepEnded).run(commands))
  const report = await fc.check(property, { numRuns, seed, includeErrorInReport: true })
  t.notOk(report.failed, fc.defaultReportMessage(report) ?? 'no sequence fails')
  t.comment(`${report.numRuns} sequences, seed ${report.seed}`)
}

t.test('whatever is done in whatever order, the tasks are what the model says', { timeout: 3_600_000 }, async (t) => {
  await holds(t, sequence, runs)
})

t.test('a lease is never early and at most four ticks late, however its heartbeats and stalls fall', { timeout: 3_600_000 }, async (t) => {
  await holds(t, fc.array(mostlyTime, { maxLength: 20, size: 'max' }).map((commands) => [{ do: 'open' }, ...commands]), Math.ceil(runs / 4))
})
