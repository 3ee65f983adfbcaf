import t from 'tap'
import { LiveReader } from '../../lib/processes/live-reader'
import type { Peer } from '../../lib/processes/peers'
import { RemoteEntries } from '../../lib/processes/remote-entries'
import type { Requests } from '../../lib/processes/requests'

const peer = { id: 'b', pid: 1, hostname: 'h' } as Peer
const page = (name: string, next?: string): object => ({ tasks: [{ name, state: 'running', createdAt: 1 }], cursors: ['1'], next })

/** Reads a process that answers with these pages, and then no more. */
async function read (...pages: unknown[]) {
  const entries = new RemoteEntries()
  const open = new Set<unknown>()
  Object.assign(entries, {
    open () {
      const reading = RemoteEntries.prototype.open.call(entries)
      open.add(reading)
      return reading
    },
    close: (reading: unknown) => open.delete(reading)
  })
  const positions: unknown[] = []
  const requests = {
    async request (_peers: Peer[], _operation: string, { after }: { after: object }) {
      positions.push(after)
      return pages.length > 0 ? { replies: [{ peer, status: 'ok', value: pages.shift() }], missing: [] } : { replies: [], missing: ['b'] }
    }
  } as unknown as Requests
  const walk = new LiveReader(requests, entries, () => false).read(peer)
  const names: string[] = []
  let step = await walk.next()
  for (; step.done !== true; step = await walk.next()) names.push(...step.value.map(({ name }) => name))
  return { names, isComplete: step.value, positions, open: open.size }
}

t.test('the live tasks of a process are read page by page, each behind the one before', async (t) => {
  t.same(await read(page('x', '1'), page('y')), { names: ['x', 'y'], isComplete: true, positions: [{ b: '' }, { b: '1' }], open: 0 })
})

t.test('a reading ends, and says so, where the process does not answer or makes no sense', async (t) => {
  t.match(await read(page('x', '1')), { names: ['x'], isComplete: false, open: 0 })
  t.match(await read(page('x', '1'), { tasks: 'all' }), { names: ['x'], isComplete: false, open: 0 })
})
