import { once } from 'node:events'
import { WebSocket } from 'ws'
const sessions = new Set(['a', 'b'])
function sessionOf ({ headers }: FastifyRequest): string {
  const session = String(headers.authorization)
  if (!sessions.has(session)) throw Object.assign(new Error('No session'), { statusCode: 401 })
  return session
}
// --- the block ---
const url = await app.listen({ port: 0 })
const connect = async (authorization: string) => {
  const client = new WebSocket(`${url.replace('http', 'ws')}/tasks-feed`, { headers: { authorization } })
  await once(client, 'open')
  return client
}
await assert.rejects(connect('c'))
const [one, other] = [await connect('a'), await connect('b')]
await fetch(`${url}/logout`, { method: 'POST', headers: { authorization: 'a' } })
await once(one, 'close')
assert.equal(other.readyState, WebSocket.OPEN)
assert.equal(feeds.get('a')!.size, 0)
other.terminate()
