await app.ready()
const receive = (app: unknown, { signal }: { signal: AbortSignal }) => new Promise((resolve) => { signal.addEventListener('abort', resolve) })
// --- the block ---
