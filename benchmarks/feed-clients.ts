/** A crowd of WebSocket clients: connects and hears one message each when told to, then leaves all at once. */
import { once } from 'node:events'
import { WebSocket } from 'ws'

const [port, count] = process.argv.slice(2).map(Number)
// Fewer than a listen queue holds.
const AT_A_TIME = 100
let sockets: WebSocket[] = []

async function greet (): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
  await once(socket, 'open')
  socket.send('hello')
  await once(socket, 'message')
  return socket
}

async function connect (): Promise<void> {
  while (sockets.length < count) {
    sockets.push(...await Promise.all(Array.from({ length: AT_A_TIME }, greet)))
  }
}

async function leave (): Promise<void> {
  const closed = sockets.map((socket) => once(socket, 'close'))
  for (const socket of sockets) socket.close()
  await Promise.all(closed)
  sockets = []
}

process.on('message', async (request: 'connect' | 'leave') => {
  await (request === 'connect' ? connect() : leave())
  process.send!('done')
})
process.on('disconnect', () => process.exit())
