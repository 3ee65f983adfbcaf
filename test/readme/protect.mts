// --- the block ---
async function validate () {}
assert.equal((await app.inject('/tasks')).statusCode, 401)
assert.equal((await app.inject('/ops')).statusCode, 401)
const bearer = { authorization: 'Bearer a-long-secret' }
assert.equal((await app.inject({ url: '/tasks', headers: bearer })).statusCode, 200)
assert.equal((await app.inject({ url: '/ops', headers: bearer })).statusCode, 200)
