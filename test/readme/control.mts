// --- the block ---
const enter = (password: string) => app.inject({ url: '/dashboard', headers: { authorization: `Basic ${btoa(`ops:${password}`)}` } })
for (const url of ['/dashboard', '/tasks', '/tasks-feed']) assert.equal((await app.inject(url)).statusCode, 401)
assert.equal((await enter('')).statusCode, 401)
process.env.OPERATORS_KEY = 'secret'
assert.equal((await enter('')).statusCode, 401)
assert.equal((await enter('secret')).statusCode, 200)
