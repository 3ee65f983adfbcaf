import { EventEmitter } from 'node:events'
const orders = new EventEmitter()
const seen: number[] = []
// --- the block ---
const started = new Promise<void>((resolve) => { app.tasks.once('start', () => resolve()) })
await app.ready()
await started
orders.emit('placed', 42)
await new Promise(setImmediate)
assert.deepEqual(seen, [42])
