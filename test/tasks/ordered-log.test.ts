import fc from 'fast-check'
import t from 'tap'
import { OrderedLog } from '../../lib/tasks/ordered-log'

interface Entry { sequence: number }

function logOf (count: number): { log: OrderedLog<Entry>, entries: Entry[] } {
  const log = new OrderedLog<Entry>(({ sequence }) => sequence)
  const entries = Array.from({ length: count }, () => append(log))
  return { log, entries }
}

function append (log: OrderedLog<Entry>): Entry {
  const entry = { sequence: 0 }
  entry.sequence = log.append(entry)
  return entry
}

t.test('entries are read newest first, all or from a sequence number on', async (t) => {
  const { log, entries } = logOf(5)
  t.same([...log.newestFirst()], entries.toReversed())
  t.same([...log.newestFirst(entries[2].sequence)], [entries[1], entries[0]])
  t.same([...log.newestFirst(entries[0].sequence)], [])
  t.same([...log.newestFirst(0)], [])
  t.same([...log.newestFirst(1_000)], entries.toReversed())
  t.same([...logOf(0).log.newestFirst()], [])
})

t.test('entries are read oldest first behind a sequence number', async (t) => {
  const { log, entries } = logOf(5)
  t.same([...log.oldestFirst(0)], entries)
  t.same([...log.oldestFirst(entries[2].sequence)], entries.slice(3))
  t.same([...log.oldestFirst(entries[4].sequence)], [])
  log.remove(entries[2])
  t.same([...log.oldestFirst(entries[0].sequence)], [entries[1], ...entries.slice(3)])
})

t.test('a sequence number is not reused, and the cursor of a removed entry stays valid', async (t) => {
  const { log, entries } = logOf(100)
  for (const entry of entries.splice(10, 80)) log.remove(entry)
  t.same([...log.newestFirst(50)], entries.slice(0, 10).toReversed())
  for (const entry of entries.splice(0)) log.remove(entry)
  t.same([...log.newestFirst()], [])
  t.equal(append(log).sequence, 101)
})

t.test('after any additions and removals, the log equals a plain list', async (t) => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.constant(-1), fc.nat(300)), { maxLength: 400, size: 'max' }), fc.nat(400), (steps, cursor) => {
    const log = new OrderedLog<Entry>(({ sequence }) => sequence)
    const list: Entry[] = []
    for (const step of steps) {
      if (step === -1 || list.length === 0) list.push(append(log), append(log))
      else log.remove(list.splice(step % list.length, 1)[0])
    }
    t.strictSame([...log.newestFirst()], list.toReversed())
    t.strictSame([...log.newestFirst(cursor)], list.filter(({ sequence }) => sequence < cursor).toReversed())
  }), { numRuns: 200 })
})

t.test('removed entries are forgotten: a log with many additions and removals stays small', async (t) => {
  const { log, entries } = logOf(100)
  let steps = 0
  const counted = new OrderedLog<Entry>(({ sequence }) => { steps++; return sequence })
  for (const entry of entries) entry.sequence = counted.append(entry)
  for (let i = 0; i < 10_000; i++) {
    const entry = append(counted)
    counted.remove(entry)
  }
  t.ok(steps < 10_000 * 12, `${steps} steps`)
  t.equal([...counted.newestFirst()].length, 100)
  t.equal([...log.newestFirst()].length, 100)
})

/** The lengths of the arrays of which a method is called meanwhile. */
function lengths (method: 'push' | typeof Symbol.iterator, work: () => void): number[] {
  const seen: number[] = []
  const arrays = Object.getPrototypeOf([])
  const original = arrays[method]
  arrays[method] = function (...args: unknown[]) {
    seen[seen.length] = this.length
    return Reflect.apply(original, this, args)
  }
  try {
    work()
  } finally {
    arrays[method] = original
  }
  return seen
}

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0)

t.test('removed entries take no more room than live ones, and their removal costs no more than adding them', async (t) => {
  const count = 10_000
  const { log, entries } = logOf(count)
  const walked = lengths(Symbol.iterator, () => { for (let i = 0; i < count - 1_000; i++) log.remove(entries[i]) })
  t.ok(sum(walked) < 2 * count, `${sum(walked)} steps`)
  const [length] = lengths('push', () => append(log))
  t.ok(length < 2 * 1_000, `${length} entries`)
})

t.test('what is removed from the end leaves nothing behind, and few removals are not worth a compaction', async (t) => {
  const { log } = logOf(1)
  t.same(lengths(Symbol.iterator, () => { for (let i = 0; i < 1_000; i++) log.remove(append(log)) }), [])
  t.same(lengths('push', () => append(log)), [1])
  let last = append(log)
  const walked = lengths(Symbol.iterator, () => {
    for (let i = 0; i < 1_000; i++) {
      const next = append(log)
      log.remove(last)
      last = next
    }
  })
  t.ok(walked.length > 0 && walked.length < 1_000 / 30, `${walked.length} compactions`)
})

t.test('where nothing was removed an entry is found at once', async (t) => {
  let steps = 0
  const log = new OrderedLog<Entry>(({ sequence }) => { steps++; return sequence })
  const entries = Array.from({ length: 10_000 }, () => append(log))
  log.newestFirst(entries[5_000].sequence).next()
  t.ok(steps < 5, `${steps} steps`)
})
