import type { AddressInfo } from 'node:net'
import { startDashboard, tryPage } from 'test/fixtures/proxied.js'
const behind = await startDashboard({ trustProxy: 'loopback' })
process.env.UPSTREAM = behind.url
// --- the block ---
const { port } = proxy.server.address() as AddressInfo
await tryPage(`http://127.0.0.1:${port}/ops/`, behind.app)
