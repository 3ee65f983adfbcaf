import tasksRoutes from 'fastify-tasks/routes'
const onRequest: never[] = []
const wait = (app: unknown, { signal }: { signal: AbortSignal }) => new Promise((resolve) => { signal.addEventListener('abort', resolve) })
for (const id of [1, 2, 3]) app.addTask(wait, { name: `report:${id}`, group: 'reports' })
app.addTask(wait, { name: 'poller' })
app.addHook('onReady', async () => {})
app.addHook('preHandler', async () => { while (app.getTasks({ state: 'pending' }).length > 0) await new Promise((resolve) => { setImmediate(resolve) }) })
// --- the block ---
