import t from 'tap'
import { ListSync } from '../../lib/control/dashboard/page/list-sync'
import type { ListQuery, Summary } from '../../lib/control/dashboard/page/api'
import type { Snapshot, State } from '../../lib/control/dashboard/page/model/snapshot'
import { Store } from '../../lib/control/dashboard/page/model/store'
import { NO_FILTER } from '../../lib/control/dashboard/page/model/view'

const task = (name: string, state: State = 'running'): Snapshot => ({ name, state, createdAt: 1 })

/** A list that is compared with a server of these tasks, which sends them in pages of the size that is asked for or less. */
function synced (tasks: Snapshot[], { paged = false, most = 1_000, summary = true, received = () => {} } = {}) {
  const store = new Store()
  const asked: ListQuery[] = []
  const server = { tasks, missing: undefined as unknown[] | undefined, gate: undefined as Promise<void> | undefined }
  const api = {
    async list (query: ListQuery) {
      asked.push(query)
      await server.gate
      received()
      const { state, limit = 100, after = '0' } = query
      const found = server.tasks.filter((task) => state === undefined || state.includes(task.state))
      const end = Number(after) + Math.min(limit, most)
      const counts: Partial<Record<State, number>> = {}
      for (const { state } of server.tasks) counts[state] = (counts[state] ?? 0) + 1
      return {
        tasks: found.slice(Number(after), end),
        next: end < found.length ? String(end) : undefined,
        missing: server.missing,
        summary: query.summary === true && summary ? { counts, process: { id: 'p', pid: 1, hostname: 'h' } } satisfies Summary : undefined
      }
    }
  }
  const list = new ListSync({ api: api as never, store, paged, filter: () => NO_FILTER, changed: () => {} })
  return { list, store, server, asked, names: () => [...store.rows.keys()].sort() }
}

t.test('a request for the whole list while a part of it is read waits until the whole is read', async (t) => {
  const { list, store, server, asked } = synced([task('a')])
  let open!: () => void
  server.gate = new Promise((resolve) => { open = resolve })
  const part = list.sync(['failed'])
  const whole = list.sync()
  t.equal(list.isBusy, true)
  open()
  await whole
  t.same(asked.map(({ state }) => state), [['failed'], undefined])
  t.ok(store.rows.has('a'))
  t.equal(list.loaded, true)
  await part
  t.equal(list.isBusy, false)
})

t.test('a request for the whole list while it is read has it read once more', async (t) => {
  const { list, server, asked, names } = synced([task('a')])
  const first = list.sync()
  server.tasks = [task('b')]
  await Promise.all([first, list.sync(), list.sync(['failed'])])
  t.equal(asked.length, 2)
  t.same(names(), ['b'])
})

t.test('the whole list is read in pages, and says which processes there are and which did not answer', async (t) => {
  const { list, server, asked, names } = synced(['a', 'b', 'c'].map((name) => task(name)), { most: 2 })
  server.missing = ['q']
  t.equal(list.loaded, false)
  await list.sync()
  t.same(names(), ['a', 'b', 'c'])
  t.same(asked.map(({ after }) => after), [undefined, '2'])
  t.same([...list.processes.keys()], ['p'])
  t.same(list.missing, ['q'])
})

t.test('only the states whose counts differ are read again, unless events explain the difference', async (t) => {
  let events = 0
  const { list, server, asked, names } = synced([task('a'), task('b', 'failed')], { received: () => { events++ } })
  await list.sync()
  await list.syncCounts(() => 0)
  server.tasks = [task('a'), task('c', 'failed'), task('d', 'failed')]
  await list.syncCounts(() => events)
  t.equal(asked.length, 3)
  await list.syncCounts(() => 0)
  t.same(asked.slice(4).map(({ state }) => state), [['failed']])
  t.same(names(), ['a', 'c', 'd'])
  const { list: bare, asked: once } = synced([task('a')], { summary: false })
  await bare.syncCounts(() => 0)
  t.equal(once.length, 1, 'without counts there is nothing to compare')
})

t.test('a page of jobs is filled by several requests, and followed by the next', async (t) => {
  const tasks = Array.from({ length: 150 }, (_, index) => task(`j${index}`))
  const { list, asked, store } = synced(tasks, { paged: true, most: 60 })
  list.toNextPage()
  await list.sync()
  t.same(asked.map(({ limit, after, summary }) => [limit, after, summary]), [[100, undefined, true], [40, '60', false]])
  t.equal(list.hasNext, true)
  list.toNextPage()
  await list.sync()
  t.equal(list.pageNumber, 2)
  t.equal(store.rows.size, 50)
  t.equal(list.hasNext, false)
  list.toPreviousPage()
  t.equal(list.pageNumber, 1)
  list.toNextPage()
  list.toFirstPage()
  await list.sync()
  t.equal(store.rows.size, 100)
})
