import { EventEmitter } from 'node:events'
const worker = `${process.cwd()}/examples/recipes/piscina-worker.cjs`
const send = async (signal: AbortSignal): Promise<string> => 'sent'
const resize = async (signal: AbortSignal): Promise<string> => 'resized'
const cleanUp = async (): Promise<void> => {}
const orders = new EventEmitter()
const seen: number[] = []
// --- the block ---
app.addHook('onClose', () => pool.close())
await app.ready()
assert.equal(await app.getTask('mail'), 'sent')
assert.equal(await app.getTask('resize'), 'resized')
assert.equal(await app.getTask('fibonacci'), 6765)
orders.emit('placed', 42)
await new Promise(setImmediate)
assert.deepEqual(seen, [42])
nightly.execute()
await app.getTask('clean-up')
await app.close()
assert.equal(app.getTask('orders')?.state, 'cancelled')
