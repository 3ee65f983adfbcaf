// --- the block ---
const reply = await app.inject({ method: 'POST', url: '/reports' })
assert.equal(reply.statusCode, 202)
assert.equal(await app.getTask('report:req-1'), 'a report')
assert.equal(app.getTask('poller')?.state, 'running')
function poll (signal: AbortSignal) { return new Promise((resolve) => { signal.addEventListener('abort', resolve) }) }
async function buildReport (signal: AbortSignal) { return 'a report' }
