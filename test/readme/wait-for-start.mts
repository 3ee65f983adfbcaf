await app.ready()
const receive = (app: unknown, { signal }: { signal: AbortSignal }) => new Promise((resolve) => { signal.addEventListener('abort', resolve) })
// --- the block ---
const settled = new Promise((resolve) => app.tasks.once('start', resolve))
const quick = app.addTask(async () => 42)
assert.equal(await settled, 42, 'the result, so the task has ended')
