const resize = async (signal: AbortSignal): Promise<string> => 'resized'
// --- the block ---
await app.ready()
assert.equal(await app.getTask('resize:42'), 'resized')
