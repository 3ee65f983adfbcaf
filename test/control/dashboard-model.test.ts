import t from 'tap'
import { brief, bytes, count, duration, elapsed, percent, plural, relative } from '../../lib/control/dashboard/page/model/format'
import { History } from '../../lib/control/dashboard/page/model/history'
import { isFiltered, nextSort, readPlace, writePlace } from '../../lib/control/dashboard/page/model/location'
import { namePrefix, nameParts, naturalKey, safeName, safeText } from '../../lib/control/dashboard/page/model/names'
import { endedOf, isLive, isSnapshot, keyOf, liveOf, liveStatesOf, statesOf, type Snapshot, type State } from '../../lib/control/dashboard/page/model/snapshot'
import { quantile, statistics } from '../../lib/control/dashboard/page/model/statistics'
import { leaseEnd, Store } from '../../lib/control/dashboard/page/model/store'
import { DEFAULT_SORT, NO_FILTER, SORT_COLUMNS, View, durationOf, outcomeOf, startsDescending } from '../../lib/control/dashboard/page/model/view'

const task = (name: string, state: State = 'running', more: Partial<Snapshot> = {}): Snapshot => ({ name, state, createdAt: 1_000, ...more })

const viewOf = (tasks: Snapshot[]): { store: Store, view: View, names: () => string[] } => {
  const store = new Store()
  const view = new View(store)
  for (const each of tasks) store.told(each, 0)
  view.update(5_000)
  return { store, view, names: () => view.rows.map(({ shown }) => shown!.name) }
}

t.test('lengths of time have two units at most', async (t) => {
  t.same([0, 850, 9_940, 12_400, 60_000, 200_000, 3_600_000, 7_500_000, 273_600_000].map(duration),
    ['0 ms', '850 ms', '9.9 s', '12 s', '1 m', '3 m 20 s', '1 h', '2 h 5 m', '3 d 4 h'])
  t.same([0, 1_400, 12_400, 200_000].map(elapsed), ['< 1 s', '1 s', '12 s', '3 m 20 s'])
  t.same([[1_000, 1_200], [1_000, 5_000], [9_000, 5_000]].map(([time, now]) => relative(time, now)), ['just now', '4 s ago', 'in 4 s'])
})

t.test('numbers are written as people write them', async (t) => {
  t.equal(count(20_000), '20,000')
  t.same([plural(1, 'task'), plural(2, 'task'), plural(1_000, 'process', 'processes')], ['1 task', '2 tasks', '1,000 processes'])
  t.same([100, 2_048, 5 * 2 ** 20, 64 * 2 ** 20, 3 * 2 ** 30].map(bytes), ['100 B', '2 KiB', '5.0 MiB', '64 MiB', '3.0 GiB'])
})

t.test('an object is formatted on one line', async (t) => {
  t.equal(brief({ rows: 1200, of: 10_800, phase: 'reading', deep: { a: [1] } }), 'rows 1200 · of 10800 · phase reading · deep {"a":[1]}')
})

t.test('a rate of some is never 0 %, and one of almost all never 100 %', async (t) => {
  t.same([[0, 0], [0, 9], [1, 1_000], [1, 3], [999, 1_000], [9, 9]].map(([part, whole]) => percent(part, whole)),
    ['–', '0 %', '< 1 %', '33 %', '> 99 %', '100 %'])
})

t.test('every character of a name can be seen', async (t) => {
  t.equal(safeName('evil\u2066gpj\u2069.exe'), 'evil[U+2066]gpj[U+2069].exe')
  t.equal(safeName('   '), '[space][space][space]')
  t.equal(safeName(' a b  c '), '[space]a b[space][space]c[space]')
  t.equal(safeName('a\tb\u00a0c\nd'), 'a[U+0009]b[U+00A0]c[U+000A]d')
  t.equal(safeName('\ud800x'), '[U+D800]x')
  t.equal(safeName('\u200b\u3164\u2800\u{e0041}'), '[U+200B][U+3164][U+2800][U+E0041]')
  t.equal(safeName('Größe 日本 👍🏽 <b>'), 'Größe 日本 👍🏽 <b>')
  t.equal(safeText('{\n\t"a":  "\u202eb\ud800"\n}'), '{\n\t"a":  "[U+202E]b[U+D800]"\n}')
  t.same(nameParts('a\u202eb'), [{ text: 'a', special: false }, { text: 'U+202E', special: true }, { text: 'b', special: false }])
})

t.test('names sort by the numbers in them, and are gathered by how they begin', async (t) => {
  t.same(['task:10', 'Task:9'].sort((a, b) => naturalKey(a) < naturalKey(b) ? -1 : 1), ['Task:9', 'task:10'])
  t.same(['report:7', 'report:a:b', 'task-12', 'mail/1', 'v2', 'poller', '2026', ''].map(namePrefix),
    ['report:', 'report:', 'task-', 'mail/', 'v', undefined, undefined, undefined])
})

t.test('values that are not snapshots are recognised', async (t) => {
  t.ok(isSnapshot(task('a')))
  for (const value of [null, 1, {}, { name: 'a', state: 'odd', createdAt: 1 }, { name: 'a', state: 'running' }]) t.notOk(isSnapshot(value))
  t.equal(keyOf({ name: 'a' }), 'a')
  t.equal(keyOf({ name: 'a', process: { id: 'p1', pid: 1, hostname: 'h' } }), 'p1 a')
  t.same((['pending', 'cancelling', 'failed'] as State[]).map((state) => isLive({ state })), [true, true, false])
})

t.test('the store counts what it receives, and removes what the list no longer has', async (t) => {
  const store = new Store()
  store.told(task('old', 'running', { group: 'g' }), 0)
  store.told(task('gone', 'running', { group: 'g' }), 0)
  store.beginSync()
  store.told(task('old', 'completed', { group: 'g' }), 1)
  store.told(task('new'), 1)
  // The list was written before the feed told of the end.
  store.listed([task('old', 'running', { group: 'g' }), task('listed', 'failed')], 2)
  store.endSync(() => true)
  t.same([...store.rows.keys()].sort(), ['listed', 'new', 'old'])
  t.equal(store.rows.get('old')!.task.state, 'completed')
  t.match(store.counts, { running: 1, completed: 1, failed: 1, pending: 0 })
  t.equal(store.live, 1)
  t.same([...store.groups], [['g', 1]])
  store.beginSync()
  store.endSync(({ state }) => state === 'completed')
  t.same([...store.rows.keys()].sort(), ['listed', 'new'], 'only what was asked for can be missing')
  t.equal(store.groups.size, 0)
})

t.test('a paused list stays as it is while the counts go on', async (t) => {
  const { store, view, names } = viewOf([task('a'), task('b'), task('c', 'completed')])
  const b = store.rows.get('b')!.task
  store.pause()
  t.ok(store.paused)
  store.told(task('a', 'failed'), 1)
  store.told(task('d'), 1)
  store.beginSync()
  store.listed([task('a', 'failed'), task('d'), b], 1)
  store.endSync(() => true)
  t.notOk(view.update(0))
  t.same(names(), ['a', 'b', 'c'])
  t.same(view.rows.map(({ shown }) => shown!.state), ['running', 'running', 'completed'])
  t.match(store.counts, { running: 2, failed: 1, completed: 0 })
  view.set({ ...NO_FILTER, q: 'c' }, DEFAULT_SORT, 0)
  t.same(names(), ['c'], 'it can be searched, as it was')
  store.told(task('c', 'running'), 2)
  t.equal(store.counts.running, 3, 'what was gone has come again')
  store.beginSync()
  store.listed([task('a', 'failed'), task('d'), b], 1)
  store.endSync(({ name }) => name === 'c')
  t.equal(store.rows.get('b')!.shown, store.rows.get('b')!.task)
  store.resume()
  view.set(NO_FILTER, DEFAULT_SORT, 0)
  t.same(names(), ['b', 'd', 'a'])
  t.equal(store.rows.has('c'), false)
})

t.test('the tasks of a process that is gone are forgotten', async (t) => {
  const process = { id: 'p1', pid: 1, hostname: 'h' }
  const { store, view, names } = viewOf([task('a', 'running', { process }), task('b', 'running', { process: { ...process, id: 'p2' } })])
  store.forget('p1')
  view.update(0)
  t.same(names(), ['b'])
  t.equal(store.live, 1)
})

t.test('a task that came and went during a pause is never shown', async (t) => {
  const { store, view, names } = viewOf([])
  store.pause()
  store.told(task('x'), 0)
  store.beginSync()
  store.endSync(() => true)
  t.equal(store.rows.size, 0)
  store.resume()
  view.update(0)
  t.same(names(), [])
})

t.test('live and failed ones come first, the latest on top', async (t) => {
  const { store, view, names } = viewOf([
    task('done', 'completed', { endedAt: 9_000 }), task('old', 'running', { createdAt: 1_000 }), task('failed', 'failed', { endedAt: 2_000 }),
    task('new', 'running', { createdAt: 3_000 }), task('stopped', 'cancelled', { endedAt: 9_500 })
  ])
  t.same(names(), ['new', 'failed', 'old', 'stopped', 'done'])
  store.told(task('old', 'failed', { createdAt: 1_000, endedAt: 4_000 }), 0)
  store.told(task('next', 'running', { createdAt: 3_000 }), 0)
  t.ok(view.update(0))
  t.same(names(), ['old', 'new', 'next', 'failed', 'stopped', 'done'])
})

t.test('the list can be sorted by any column, both ways, and empty values come last', async (t) => {
  const process = (hostname: string) => ({ id: hostname, pid: 1, hostname })
  const { view, names } = viewOf([
    task('a10', 'running', { group: 'x', process: process('h1'), createdAt: 1, startedAt: 1, progress: 10, lease: { ttl: 9, remaining: 9 } }),
    task('a9', 'failed', { group: 'y', process: process('h2'), createdAt: 2, startedAt: 2, endedAt: 4, error: { code: 'E_B' } }),
    task('b', 'completed', { createdAt: 3, startedAt: 3, endedAt: 9, progress: { rows: 1 }, reason: { message: 'a' } })
  ])
  const expected: Record<string, string[]> = {
    attention: ['b', 'a10', 'a9'],
    name: ['a9', 'a10', 'b'],
    state: ['a9', 'a10', 'b'],
    group: ['a10', 'a9', 'b'],
    process: ['a10', 'a9', 'b'],
    added: ['a10', 'a9', 'b'],
    duration: ['a9', 'b', 'a10'],
    progress: ['b', 'a9', 'a10'],
    lease: ['a10', 'b', 'a9'],
    outcome: ['b', 'a9', 'a10']
  }
  for (const by of SORT_COLUMNS) {
    view.set(NO_FILTER, { by, descending: false }, 5_000)
    t.same(names(), expected[by], by)
  }
  view.set(NO_FILTER, { by: 'group', descending: true }, 5_000)
  t.same(names(), ['a9', 'a10', 'b'])
  t.same([startsDescending('added'), startsDescending('name')], [true, false])
})

t.test('tasks added in the same ms have a stable order, and a task that has not started has no duration', async (t) => {
  const process = (id: string) => ({ id, pid: 1, hostname: 'h' })
  const { view, names } = viewOf([
    task('b', 'pending'), task('a', 'running', { process: process('2'), startedAt: 1 }), task('a', 'running', { process: process('1'), startedAt: 1 }), task('A', 'pending')
  ])
  t.same(view.rows.map(({ key }) => key), ['1 a', '2 a', 'A', 'b'])
  t.equal(durationOf(task('b', 'pending'), 9), undefined)
  view.set(NO_FILTER, { by: 'duration', descending: false }, 9)
  t.same(names(), ['A', 'b', 'a', 'a'])
})

t.test('a filter for live or ended tasks stands for a set of states', async (t) => {
  t.equal(statesOf(''), undefined)
  t.same(statesOf('failed'), ['failed'])
  t.same(statesOf('live'), ['pending', 'running', 'cancelling'])
  t.same(statesOf('ended'), ['completed', 'failed', 'cancelled'])
  t.same((['', 'live', 'ended', 'running', 'failed'] as const).map((filter) => liveStatesOf(filter).length), [3, 3, 0, 1, 0])
  const counts = { pending: 1, running: 2, cancelling: 3, completed: 4, failed: 5, cancelled: 6 }
  t.same([liveOf(counts), endedOf(counts)], [6, 15])
})

t.test('a change of one row keeps the order of all', async (t) => {
  const tasks = Array.from({ length: 200 }, (_, index) => task(`t${index}`, 'running', { createdAt: index % 17 }))
  const { store, view, names } = viewOf(tasks)
  for (let round = 0; round < 50; round++) {
    const at = round * 7 % 200
    store.told(task(`t${at}`, round % 2 === 0 ? 'failed' : 'running', { createdAt: round, endedAt: round }), 0)
    view.update(0)
  }
  const merged = names()
  view.rebuild(0)
  t.same(merged, names())
  t.equal(new Set(merged).size, 200)
})

t.test('tasks are filtered by search, state, group, prefix and process', async (t) => {
  const { view, names } = viewOf([
    task('Report:1', 'running', { group: 'g', process: { id: 'p', pid: 1, hostname: 'h' } }), task('report:2', 'failed'), task('mail:1', 'pending')
  ])
  for (const [filter, expected] of [
    [{ q: 'REPORT' }, ['Report:1', 'report:2']], [{ state: 'live' }, ['Report:1', 'mail:1']], [{ state: 'ended' }, ['report:2']],
    [{ state: 'pending' }, ['mail:1']], [{ group: 'g' }, ['Report:1']], [{ prefix: 'report:' }, ['report:2']], [{ process: 'p' }, ['Report:1']],
    [{ q: 'x' }, []]
  ] as const) {
    view.set({ ...NO_FILTER, ...filter }, DEFAULT_SORT, 0)
    t.same(names().sort(), [...expected].sort(), JSON.stringify(filter))
  }
})

t.test('the outcome is the reason of a cancel, or the error', async (t) => {
  t.equal(outcomeOf(task('a', 'cancelled', { reason: { code: 'C' }, error: { code: 'FST_ERR_TASK_CANCELLED' } })), 'C')
  t.equal(outcomeOf(task('a', 'failed', { error: { code: 'E', message: 'text' } })), 'text')
  t.equal(outcomeOf(task('a')), '')
})

t.test('a lease ends when its snapshot said, and only while the task is live', async (t) => {
  t.equal(leaseEnd({ task: task('a', 'running', { lease: { ttl: 9, remaining: 5 } }), seenAt: 10 }), 15)
  t.equal(leaseEnd({ task: task('a', 'failed', { lease: { ttl: 9, remaining: 5 } }), seenAt: 10 }), undefined)
  t.equal(leaseEnd({ task: task('a'), seenAt: 10 }), undefined)
})

t.test('the history has gaps where the page was not connected', async (t) => {
  const history = new History(1_000_000)
  history.advance(1_000_000, 3)
  history.add('started')
  history.advance(1_002_000, 4)
  history.add('failed')
  t.same(history.seconds.slice(-4).map(({ running }) => running), [null, 3, 3, 4], 'no event means no change')
  history.advance(1_003_000, null)
  history.advance(1_006_000, null)
  history.advance(1_007_000, 5)
  t.same(history.seconds.slice(-6).map(({ running }) => running), [4, null, null, null, null, 5])
  t.equal(history.known, 4)
  t.match(history.total(), { started: 1, failed: 1, completed: 0 })
  history.advance(1_000_000 + 299_000, 5)
  t.match(history.total(), { started: 1, failed: 1 })
  history.advance(1_000_000 + 301_000, 5)
  t.match(history.total(), { started: 0, failed: 1 })
})

t.test('the history is drawn in whole steps on the marks of the clock', async (t) => {
  const history = new History(1_000_000)
  history.advance(1_000_000, 1)
  history.add('started')
  history.advance(1_004_000, 1)
  t.equal(history.steps(5).at(-1)!.happened, null, 'a step that is not over is left out')
  history.add('completed')
  history.advance(1_005_000, 1)
  t.same(history.steps(5).at(-1), { at: 1_000, happened: { started: 1, completed: 1, failed: 0, cancelled: 0 } })
  t.equal(history.steps(5).length, 59)
})

t.test('a jump of the clock leaves no wrong data', async (t) => {
  for (const jump of [500_000, 2_000_000]) {
    const history = new History(1_000_000)
    history.advance(1_000_000, 7)
    history.add('started')
    history.advance(jump, 2)
    t.equal(history.known, 1)
    t.equal(history.total().started, 0)
    t.equal(history.current.running, 2)
  }
})

t.test('statistics are of all that is kept, by group or prefix', async (t) => {
  const ended = (name: string, state: State, ms: number, group?: string) => task(name, state, { group, startedAt: 0, endedAt: ms })
  const tasks = [ended('r:1', 'completed', 100, 'g'), ended('r:2', 'failed', 300, 'g'), ended('r:3', 'completed', 200, 'g'), task('r:4', 'running', { group: 'g' }),
    task('x', 'cancelled'), task('m:1')]
  const rows = tasks.map((task) => ({ task, prefix: namePrefix(task.name) }))
  t.same(statistics(rows, 'group'), [
    { label: 'g', live: 1, ended: 3, failed: 1, median: 200, p95: 300 },
    { label: undefined, live: 1, ended: 1, failed: 0, median: undefined, p95: undefined }
  ])
  t.same(statistics(rows, 'prefix').map(({ label }) => label), ['r:', 'm:', undefined])
  t.same(statistics(['b:1', 'c:1', 'a:1'].map((name) => ({ task: task(name), prefix: namePrefix(name) })), 'prefix').map(({ label }) => label), ['a:', 'b:', 'c:'])
  t.equal(quantile([1, 2, 3, 4], 0.5), 2)
})

t.test('the place is read from the address and written to it, and leaves the rest of it alone', async (t) => {
  const query = '?token=t&q=a+b&state=live&group=g&prefix=r%3A&process=p&sort=name.desc&task=x%2Fy&in=p1&tab=jobs'
  const place = readPlace(query)
  t.same(place, {
    tab: 'jobs',
    filter: { q: 'a b', state: 'live', group: 'g', prefix: 'r:', process: 'p' },
    sort: { by: 'name', descending: true },
    task: 'x/y',
    taskProcess: 'p1'
  })
  t.same(readPlace(writePlace(place, '?token=t')), place)
  t.match(writePlace(place, '?token=t'), /^\?token=t&/)
  t.equal(writePlace(readPlace(''), '?q=gone'), '')
  t.equal(writePlace(readPlace('?sort=name'), ''), '?sort=name')
  t.same(readPlace('?state=odd&sort=odd&tab=odd'), readPlace(''))
  t.equal(readPlace('?state=failed').filter.state, 'failed')
  t.same([isFiltered(NO_FILTER), isFiltered({ ...NO_FILTER, q: 'x' })], [false, true])
})

t.test('a click on the head of a column sorts by it, the next one turns it round, and the third one ends it', async (t) => {
  t.same(nextSort(DEFAULT_SORT, 'name'), { by: 'name', descending: false })
  t.same(nextSort({ by: 'name', descending: false }, 'name'), { by: 'name', descending: true })
  t.same(nextSort({ by: 'name', descending: true }, 'name'), DEFAULT_SORT)
  t.same(nextSort(DEFAULT_SORT, 'duration'), { by: 'duration', descending: true })
})
