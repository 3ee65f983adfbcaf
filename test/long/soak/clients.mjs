// The world outside: WebSocket clients that come, go and vanish, and HTTP requests that add a task to one process and see, renew
// and cancel it by another. Ends with its parent.
import WebSocket from 'ws'

const [seconds, ...origins] = [Number(process.argv[2]), ...process.argv.slice(3)]
const counts = { connected: 0, closed: 0, vanished: 0, stalled: 0, messages: 0, requests: 0, added: 0, statuses: {} }
const until = Date.now() + seconds * 1000
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const pick = (list) => list[Math.floor(Math.random() * list.length)]

async function viewer () {
  while (Date.now() < until) {
    const socket = new WebSocket(`${pick(origins).replace('http', 'ws')}/feed`)
    socket.on('error', () => {})
    const opened = await new Promise((resolve) => {
      socket.on('open', () => resolve(true))
      socket.on('close', () => resolve(false))
    })
    if (!opened) continue
    counts.connected++
    socket.on('message', () => { counts.messages++ })
    const way = pick(['closed', 'vanished', 'stalled'])
    if (way === 'stalled') socket.pause()
    await sleep(200 + Math.random() * 1500)
    counts[way]++
    if (way === 'closed') socket.close()
    else socket.terminate()
  }
}

async function request (method, path, body) {
  const response = await fetch(`${pick(origins)}${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  })
  await response.text()
  counts.requests++
  counts.statuses[response.status] = (counts.statuses[response.status] ?? 0) + 1
  return response.status
}

async function controller (id) {
  for (let n = 0; Date.now() < until; n++) {
    const name = `http:${id}:${n}`
    const status = await request('POST', `/add/${name}?way=${pick(['long', 'long', 'fails', 'short', 'expires', 'ignoresSignal'])}`)
    if (status === 202) counts.added++
    await request('GET', pick(['/tasks', '/tasks?state=running', `/tasks?group=http:${id}&summary=true`, `/tasks/${name}`, '/tasks/unknown']))
    await request('POST', `/tasks/${name}/heartbeat`)
    if (Math.random() < 0.5) await request('DELETE', `/tasks/${name}`)
    else await request('POST', '/tasks/cancel', { group: `http:${id}` })
    if (n % 50 === 0) await request('POST', '/tasks/purge')
  }
}

process.on('disconnect', () => process.exit())
await Promise.all([...Array.from({ length: 12 }, viewer), ...Array.from({ length: 4 }, (_, id) => controller(id))])
process.send(counts, () => process.disconnect())
