/** Clients of the feed that read all and look at nothing: connects as many as it is told to, and reports their bytes when asked. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const [port, count] = process.argv.slice(2).map(Number)
// Fewer than a listen queue holds.
const AT_A_TIME = 100
const HANDSHAKE = 'GET /feed HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
let bytes = 0

async function join (): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.write(HANDSHAKE)
  await once(socket, 'data')
  socket.on('data', ({ length }) => { bytes += length })
  return socket
}

async function main (): Promise<void> {
  for (let joined = 0; joined < count; joined += AT_A_TIME) await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count - joined) }, join))
  process.send!(bytes)
}

process.on('message', () => { process.send!(bytes) })
process.on('disconnect', () => process.exit())
main()
