import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { env, start, startExample } from '../fixtures/child'

const ADDRESS = /http:\/\/[^\s/]+/

async function until<T> (ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

t.test('the app answers a report with 202, then shows its progress, then its result', async (t) => {
  const { url } = await startExample(t, 'app.ts', ADDRESS)
  const added = await fetch(`${url}/reports`, { method: 'POST' })
  t.equal(added.status, 202)
  t.equal(added.headers.get('location'), '/reports/1')

  const report = async (): Promise<any> => (await fetch(url + added.headers.get('location'))).json()
  const running = await until(async () => {
    const seen = await report()
    return seen.progress > 0 ? seen : undefined
  })
  t.equal(running.state, 'running')
  t.notOk('result' in running)
  const completed = await until(async () => {
    const seen = await report()
    return seen.state === 'running' ? undefined : seen
  })
  t.same(completed, { state: 'completed', progress: 100, result: { rows: 42 } })
  t.equal((await fetch(`${url}/reports/2`)).status, 404)
})

t.test('the app cancels a report', async (t) => {
  const { url } = await startExample(t, 'app.ts', ADDRESS)
  await fetch(`${url}/reports`, { method: 'POST' })
  t.same(await (await fetch(`${url}/reports/1`, { method: 'DELETE' })).json(), { cancelled: true })
  t.match(await (await fetch(`${url}/reports/1`)).json(), { state: 'cancelled' })
})

t.test('the app builds two reports at a time, refuses what 20 others wait for, and cancels all of them', async (t) => {
  const { url } = await startExample(t, 'app.ts', ADDRESS)
  const add = async (): Promise<number> => (await fetch(`${url}/reports`, { method: 'POST' })).status
  const statuses = await Promise.all(Array.from({ length: 22 }, add))
  t.same(new Set(statuses), new Set([202]))
  t.equal(await add(), 503)
  t.match(await (await fetch(`${url}/reports/3`)).json(), { state: 'pending' })
  t.match(await (await fetch(`${url}/reports`, { method: 'DELETE' })).json(), { cancelled: 22 })
  t.match(await (await fetch(`${url}/reports/22`)).json(), { state: 'cancelled' })
})

t.test('the feed of the app answers its client and sends what the poller reads', async (t) => {
  const { url } = await startExample(t, 'app.ts', ADDRESS)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/feed`)
  t.teardown(() => socket.terminate())
  socket.on('open', () => socket.send('hello'))
  const [answer] = await once(socket, 'message')
  t.same(JSON.parse(answer), { received: 'hello' })
  const [polled] = await once(socket, 'message')
  t.type(JSON.parse(polled).load, 'number')
})

t.test('a lease of the app is renewed over HTTP and over a WebSocket, and expires without', async (t) => {
  const { url, printed } = await startExample(t, 'app.ts', ADDRESS)
  const heartbeat = async (): Promise<number> => (await fetch(`${url}/leases/me/heartbeat`, { method: 'POST' })).status
  t.equal(await heartbeat(), 404)
  t.equal((await fetch(`${url}/leases/me`, { method: 'PUT' })).status, 201)
  t.equal((await fetch(`${url}/leases/me`, { method: 'PUT' })).status, 409)
  t.equal(await heartbeat(), 204)

  const socket = new WebSocket(`${url.replace('http', 'ws')}/leases/me`)
  t.teardown(() => socket.terminate())
  socket.on('open', () => socket.send('renew'))
  const [answer] = await once(socket, 'message')
  t.same(JSON.parse(answer), { renewed: true })

  await printed(/lease:me has ended: FST_ERR_TASK_EXPIRED/)
  t.equal(await heartbeat(), 409)
})

t.test('the command that renews a lease over a WebSocket prints what it receives', async (t) => {
  const { url, output } = await startExample(t, 'app.ts', ADDRESS)
  const [, add, renew] = /(curl -X PUT \S+\/leases\/you) && (node -e ".+")/.exec(output())!
  t.equal((await fetch(add.split(' ').at(-1)!, { method: 'PUT' })).status, 201)
  t.match(add, url)
  const client = start(t, ['-c', `exec ${renew}`], { program: 'sh' })
  await client.printed(/\{"renewed":true\}\n[^]*\{"renewed":true\}\n/)
})

t.test('a busy port is reported in a sentence that says how to choose another', async (t) => {
  const server = createServer()
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const app = start(t, ['examples/app.ts'], { env: { PORT: String(port) } })
  t.equal(await app.exited, 1)
  t.equal(app.output(), `Port ${port} is in use. Choose another one: PORT=${port + 1} npm start\n`)
})

t.test('the app serves the dashboard at the address that it prints', async (t) => {
  const { url, output } = await startExample(t, 'app.ts', ADDRESS)
  t.match(output(), `${url}/tasks\n`)
  const page = await fetch(`${url}/tasks`)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), 'text/html')
  t.match(await (await fetch(`${url}/tasks/api/poller`)).json(), { name: 'poller', state: 'running' })
})

t.test('npm start runs the app, and Ctrl-C closes it when its report is done', async (t) => {
  // A group of its own, which the signal of a terminal would reach as a whole.
  const child = spawn('npm', ['start'], { cwd: join(__dirname, '../..'), env: { ...env, PORT: '0' }, detached: true })
  let output = ''
  const exited = once(child, 'close')
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
    await exited
  })
  child.stderr.resume()
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk
      const address = ADDRESS.exec(output)
      if (address !== null) resolve(address[0])
    })
    exited.then(() => reject(new Error(output)), reject)
  })
  await fetch(`${url}/reports`, { method: 'POST' })
  // As a browser does, ahead of need: a connection on which nothing is ever asked.
  const unused = connect(Number(new URL(url).port), 'localhost')
  t.teardown(() => unused.destroy())
  await once(unused, 'connect')
  process.kill(-child.pid!, 'SIGINT')
  await exited
  t.match(output, 'Closed: every task has stopped')
})
