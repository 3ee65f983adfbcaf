// The proxies as docs/control.md configures them are tried with its blocks.
import t from 'tap'
import { hasNginx, startNginx } from '../fixtures/nginx'
import { startDashboard, tryPage, visit } from '../fixtures/proxied'
import { freePort } from '../fixtures/redis'

t.setTimeout(60_000)

// It passes no Host on: the app sees its own address.
const usualRecipe = (upstream: string): string => `location /ops/ {
  proxy_pass ${upstream}/dashboard/;
  proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection "upgrade";
}`

t.test('behind nginx with the usual recipe for WebSockets', { skip: hasNginx ? false : 'NGINX IS NOT INSTALLED' }, async (t) => {
  t.test('the page comes, and says what to set', async (t) => {
    const { app, url } = await startDashboard()
    t.teardown(() => app.close())
    const nginx = await startNginx(usualRecipe(url))
    t.teardown(() => nginx.close())
    const refused = await visit(`${nginx.url}/ops/`, (page) => page.getByText(/allowedOrigins/).first().waitFor())
    t.notOk(refused.some((answer) => /\.\w+$/.test(answer)), `of its files nothing is refused: ${refused}`)
  })

  t.test('the page works once its origin is allowed', async (t) => {
    const port = await freePort()
    const { app, url } = await startDashboard({ allowedOrigins: [`http://127.0.0.1:${port}`] })
    t.teardown(() => app.close())
    const nginx = await startNginx(usualRecipe(url), port)
    t.teardown(() => nginx.close())
    await t.resolves(tryPage(`${nginx.url}/ops/`, app))
  })
})
