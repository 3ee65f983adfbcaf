import fc from 'fast-check'
import t from 'tap'
import { mergePages, readPage, readPositions, writePositions, type PartPage } from '../../lib/processes/pages'
import type { Snapshot } from '../../lib/shared/control-backend'

const here = { id: 'a', pid: 1, hostname: 'h' }
const task = (name: string, createdAt: number): Snapshot => ({ name, createdAt, state: 'running' } as Snapshot)

t.test('a cursor is read as it was written', async (t) => {
  t.same(readPositions(writePositions({ a: '1', b: '' })), { a: '1', b: '' })
})

t.test('an invalid cursor is refused with 400', async (t) => {
  for (const cursor of ['', 'x', '%', Buffer.from('1').toString('base64url'), Buffer.from('{"a":1}').toString('base64url'), Buffer.from('null').toString('base64url')]) {
    t.throws(() => readPositions(cursor), { code: 'FST_ERR_TASK_INVALID_CURSOR', statusCode: 400 })
  }
})

t.test("the valid parts of another process's page are read", async (t) => {
  for (const value of [undefined, null, 1, {}, { tasks: [] }, { tasks: {}, cursors: [] }, { tasks: [], cursors: [], next: 1 }]) t.equal(readPage(value, here), undefined)
  const page = readPage({ tasks: [task('x', 1), null, task('y', 1), task('z', 0)], cursors: ['1', '2', 3, '4'], next: '4' }, here)
  t.same(page!.tasks.map(({ name }) => name), ['x', 'z'])
  t.same(page!.cursors, ['1', '4'])
  t.equal(page!.next, '4')
})

/** Pages of so many of the tasks of a process, behind a position. */
function pageOf (id: string, tasks: Snapshot[], position: string, limit: number): PartPage {
  const start = position === '' ? 0 : Number(position)
  const part = tasks.slice(start, start + limit)
  return {
    id,
    tasks: part,
    cursors: part.map((_, index) => String(start + index + 1)),
    next: start + part.length < tasks.length ? String(start + part.length) : undefined
  }
}

t.test('a walk sees each task of each process once, the newest first', async (t) => {
  const processes = fc.array(fc.array(fc.nat({ max: 20 }), { maxLength: 30 }), { minLength: 1, maxLength: 5 })
  // What a process gives may be less than it was asked for.
  fc.assert(fc.property(processes, fc.integer({ min: 1, max: 10 }), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (times, limit, shares) => {
    const all = times.map((list, process) => list.sort((a, b) => b - a).map((createdAt, i) => task(`${process}:${i}`, createdAt)))
    let positions: Record<string, string> = Object.fromEntries(all.map((_, process) => [`p${process}`, '']))
    const seen: Snapshot[] = []
    for (let turn = 0; ; turn++) {
      const parts = all.map((tasks, process) => ({ tasks, id: `p${process}` }))
        .filter(({ id }) => id in positions)
        .map(({ tasks, id }, index) => pageOf(id, tasks, positions[id], Math.min(limit, shares[(turn + index) % shares.length])))
      const { tasks, next } = mergePages(parts, limit, positions)
      if (tasks.length > limit) throw new Error('more than the limit')
      if (tasks.length === 0 && next !== undefined) throw new Error('no way on')
      seen.push(...tasks)
      if (next === undefined) break
      positions = readPositions(next)
    }
    const expected = all.flat()
    if (new Set(seen.map(({ name }) => name)).size !== expected.length || seen.length !== expected.length) throw new Error('not each once')
    seen.reduce((before, one) => {
      if (one.createdAt > before.createdAt) throw new Error('not the newest first')
      return one
    }, task('', Infinity))
  }))
  t.pass()
})

t.test('tasks of one time are ordered by their processes, in whichever order these have answered', async (t) => {
  const parts = [pageOf('a', [task('a2', 2), task('a1', 1)], '', 10), pageOf('b', [task('b3', 3), task('b1', 1)], '', 10)]
  for (const pages of [parts, parts.toReversed()]) {
    t.same(mergePages(pages, 10, {}).tasks.map(({ name }) => name), ['b3', 'a2', 'a1', 'b1'])
  }
})

t.test('an empty page with a next continues the walk', async (t) => {
  const positions = { a: '', b: '' }
  const { tasks, next } = mergePages([{ id: 'a', tasks: [], cursors: [], next: '7' }, pageOf('b', [task('x', 1)], '', 10)], 10, positions)
  t.same(tasks, [])
  t.same(readPositions(next!), { a: '7', b: '' })
})

t.test('the position of a process that has not answered is kept', async (t) => {
  const { next } = mergePages([pageOf('b', [task('x', 1), task('y', 0)], '', 1)], 1, { a: '5', b: '' })
  t.same(readPositions(next!), { a: '5', b: '1' })
})
