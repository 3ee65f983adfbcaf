await app.ready()
const isOutdated = async (): Promise<boolean> => true
const update = async (signal: AbortSignal): Promise<void> => { assert.fail('not called') }
// --- the block ---
await assert.rejects(async () => app.getTask('update'), { code: 'FST_ERR_TASK_CANCELLED', cause: 'outdated' })
assert.equal(app.getTask('update')!.state, 'cancelled')
