import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyTasks from '../../index'
import tasksDashboard from '../../lib/control/dashboard'
import { openBrowser } from '../../test/fixtures/browser'
import { type Figure, type Line } from '../harness'

const TASKS = [12, 2_000, 20_000]
const EVENTS = [0, 20, 200]
const REPEATS = 3
/** How long the frames are counted, in ms. */
const WATCHED = 3_000

type Metric = 'frames' | 'longest' | 'search' | 'heap'
type Results = Record<Metric, number[]>

const variantOf = (tasks: number, events: number): string => `${tasks.toLocaleString('en')} tasks, ${events}/s`

// --- one page: measured in a browser of its own ---

/** Counts frames while the list is scrolled up and down, a few rows at a time. */
const WATCH_FRAMES = `new Promise((resolve) => {
  const began = performance.now()
  let last = began
  let frames = 0
  let longest = 0
  requestAnimationFrame(function frame () {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    frames++
    if (now - began > ${WATCHED}) return resolve({ frames: (frames - 1) * 1000 / (now - began), longest })
    scrollBy(0, now - began < ${WATCHED / 2} ? 60 : -60)
    requestAnimationFrame(frame)
  })
})`

/** From the key to the frame that shows what was found. */
const SEARCH = `new Promise((resolve) => {
  const input = document.querySelector('#search')
  input.value = 'receiver:7'
  const began = performance.now()
  input.dispatchEvent(new Event('input', { bubbles: true }))
  requestAnimationFrame(function frame () {
    if (!/ of /.test(document.querySelector('#hits').textContent)) return requestAnimationFrame(frame)
    const channel = new MessageChannel()
    // After the frame has been drawn.
    channel.port1.onmessage = () => resolve(performance.now() - began)
    channel.port2.postMessage(0)
  })
})`

async function heapOf (page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.collectGarbage')
  return (await session.send('Runtime.getHeapUsage')).usedSize
}

async function measurePage (browser: Browser, url: string, tasks: number): Promise<Record<Metric, number>> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  page.setDefaultTimeout(60_000)
  await page.goto(url)
  await page.locator('#hits', { hasText: new RegExp(`^${tasks.toLocaleString('en')} task`) }).waitFor()
  await page.waitForSelector('#connection[data-state=live]')
  await page.waitForTimeout(1_000)
  const { frames, longest } = await page.evaluate(WATCH_FRAMES) as { frames: number, longest: number }
  const search = await page.evaluate(SEARCH) as number
  const heap = await heapOf(page) / 1e6
  await page.close()
  return { frames, longest, search, heap }
}

// --- the server ---

/** A server whose tasks tell so many events a second. */
async function serve (tasks: number, events: number): Promise<{ app: FastifyInstance, url: string }> {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(fastifyTasks)
  await app.register(tasksDashboard, { prefix: '/tasks', onRequest: [] })
  app.addHook('onClose', async () => clearInterval(timer))
  const added = Array.from({ length: tasks }, (_, index) => app.addTask(
    (_app, { signal }) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())), { name: `receiver:${index}` }))
  let next = 0
  const timer = setInterval(() => {
    for (let i = 0; i < events / 20; i++) added[next++ * 7919 % tasks].updateProgress(next % 100)
  }, 50)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/tasks` }
}

async function measureAll (): Promise<Record<string, Results>> {
  const all: Record<string, Results> = {}
  const browser = await openBrowser()
  for (const tasks of TASKS) {
    for (const events of EVENTS) {
      const results: Results = all[variantOf(tasks, events)] = { frames: [], longest: [], search: [], heap: [] }
      const { app, url } = await serve(tasks, events)
      for (let repeat = 0; repeat < REPEATS; repeat++) {
        const measured = await measurePage(browser, url, tasks)
        for (const metric of Object.keys(results) as Metric[]) results[metric].push(measured[metric])
      }
      await app.close()
    }
  }
  await browser.close()
  return all
}

// --- the figures ---

/** Every page yields all four numbers, so all are measured once, before the first of the figures. */
let measured: Promise<Record<string, Results>> | undefined

async function before (): Promise<() => void> {
  process.env.PAGE_RESULTS = JSON.stringify(await (measured ??= measureAll()))
  return () => { delete process.env.PAGE_RESULTS }
}

const variants = TASKS.flatMap((tasks) => EVENTS.map((events) => variantOf(tasks, events)))

const line = (metric: string, variant: string, unit: string, limit: Pick<Line, 'atMost' | 'atLeast'>): Line => ({
  what: `page: ${metric}`, against: variant, value: (round) => round[variant], unit, ...limit
})

const figure = (metric: Metric, title: string, unit: string, limit: Pick<Line, 'atMost' | 'atLeast'>): Figure => ({
  title: `page: ${title}`,
  unit,
  floor: variants[0],
  processes: 1,
  rounds: REPEATS,
  warmups: 0,
  before,
  variants: Object.fromEntries(variants.map((variant) => [variant, () => {
    const results = (JSON.parse(process.env.PAGE_RESULTS!) as Record<string, Results>)[variant][metric]
    let next = 0
    return () => results[next++]
  }])),
  lines: variants.map((variant) => line(title, variant, ` ${unit}`, limit))
})

export default [
  figure('frames', 'frames while scrolling', 'a second', { atLeast: 50 }),
  figure('longest', 'the longest frame', 'ms', { atMost: 100 }),
  figure('search', 'a search', 'ms', { atMost: 100 }),
  figure('heap', 'heap of the tab', 'MB', { atMost: 40 })
] satisfies Figure[]
