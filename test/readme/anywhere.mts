app.addTask(async (app, { signal }) => { await new Promise((resolve) => { signal.addEventListener('abort', resolve) }) }, { name: 'poller' })
const started = new Promise<void>((resolve) => { app.tasks.once('start', () => resolve()) })
await app.ready()
await started
// --- the block ---
