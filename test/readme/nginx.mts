import { hasNginx, startNginx } from 'test/fixtures/nginx.js'
import { startDashboard, tryPage } from 'test/fixtures/proxied.js'
// --- the block ---
if (hasNginx) {
  const { app, url } = await startDashboard()
  const nginx = await startNginx(block.replace('http://127.0.0.1:3000', url))
  try {
    await tryPage(`${nginx.url}/ops/`, app)
  } finally {
    await nginx.close()
  }
} else {
  console.log('NGINX IS NOT INSTALLED: its block is not tried')
}
