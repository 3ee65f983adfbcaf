const send = async (): Promise<string> => 'sent'
// --- the block ---
await app.ready()
assert.equal(await app.getTask('mail'), 'sent')
