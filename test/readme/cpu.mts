import { Piscina } from 'piscina'
const pool = new Piscina({ filename: `${process.cwd()}/examples/recipes/piscina-worker.cjs` })
app.addHook('onClose', () => pool.close())
// --- the block ---
await app.ready()
assert.equal(await app.getTask('fibonacci'), 6765)
