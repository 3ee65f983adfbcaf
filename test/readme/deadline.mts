import { setTimeout } from 'node:timers/promises'
await app.ready()
const fetchPrices = (signal: AbortSignal): Promise<void> => setTimeout(60_000, undefined, { signal })
// --- the block ---
const other = app.addTask((app, { signal }) => fetchPrices(signal), { signal: AbortSignal.timeout(10) })
await assert.rejects(async () => other, { code: 'FST_ERR_TASK_CANCELLED' })
assert.equal(other.state, 'cancelled')
assert.equal(other.signal.reason.name, 'TimeoutError')
