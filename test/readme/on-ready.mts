const warmUp = async (): Promise<string> => 'warm'
// --- the block ---
await app.ready()
assert.equal(await app.getTask('warm-up'), 'warm')

const lines: any[] = []
const stuck = Fastify({ pluginTimeout: 100, logger: { level: 'warn', stream: { write (line: string) { lines.push(JSON.parse(line)) } } } })
await stuck.register(fastifyTasks)
stuck.addHook('onReady', async () => stuck.addTask(warmUp, { name: 'warm-up' }))
await assert.rejects(async () => stuck.ready(), { code: 'FST_ERR_HOOK_TIMEOUT' })
assert.ok(lines.some((line) => JSON.stringify(line).includes('warm-up')))
await stuck.close()
