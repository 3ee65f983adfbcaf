/** Clients that keep a server busy: sends as many requests as it is told to, and reports when all are answered. */
import { connect } from 'node:net'

const CONNECTIONS = 20
const PIPELINED = 5
const REQUEST = 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'

let unsent = 0
let unanswered = 0

const sockets = Array.from({ length: CONNECTIONS }, () => {
  const socket = connect(Number(process.argv[2]), '127.0.0.1')
  socket.setEncoding('latin1')
  socket.on('data', (data: string) => {
    // A status line may be cut in two, its "HTTP/1.1" as good as never on loopback: the count would then stay short.
    for (let at = data.indexOf('HTTP/1.1 202'); at >= 0; at = data.indexOf('HTTP/1.1 202', at + 1)) {
      unanswered--
      send(1)
    }
    if (unanswered === 0) process.send!('done')
  })

  function send (count: number): void {
    count = Math.min(count, unsent)
    unsent -= count
    if (count > 0) socket.write(REQUEST.repeat(count))
  }
  return { send }
})

process.on('message', (requests: number) => {
  unsent = unanswered = requests
  for (const socket of sockets) socket.send(PIPELINED)
})
process.on('disconnect', () => process.exit())
