/* global document, fetch, requestAnimationFrame, ResizeObserver, WebSocket */
import { History, plotEvents, plotRunning } from './plot.js'

const here = new URL('.', import.meta.url)
const $ = (id) => document.getElementById(id)
const isLive = ({ state }) => state === 'pending' || state === 'running' || state === 'cancelling'
const LEASE_POLL = 2_000
const IDLE_POLL = 15_000

/** The tasks by name: each the snapshot that came last, with the time it came. */
const tasks = new Map()
const rows = new Map()
const history = new History()
let seeded = false
/** The server's clock, as ms that it is ahead. */
let ahead = 0
let order = 0

const now = () => Date.now() + ahead

// --- to learn ---

function put (task) {
  const known = tasks.get(task.name)
  // A name that was taken again is another task, and comes first.
  task.order = known?.createdAt === task.createdAt ? known.order : ++order
  task.seenAt = Date.now()
  tasks.set(task.name, task)
}

/** The tasks that the feed told of while a list was under way: it knows them better. */
let told
let polledAt = 0

async function api (path, options) {
  const response = await fetch(new URL(`api/${path}`, here), options)
  // Who guards the routes may refuse without a word.
  const body = await response.json().catch(() => ({}))
  if (!response.ok) throw new Error(body.message ?? `${response.status} ${response.statusText}`)
  const date = Date.parse(response.headers.get('date'))
  // The header knows whole seconds alone.
  if (!Number.isNaN(date)) ahead = Math.abs(date - Date.now()) > 2_000 ? date - Date.now() : 0
  return body
}

async function poll () {
  if (told !== undefined) return
  told = new Set()
  polledAt = Date.now()
  try {
    const list = (await api('')).tasks
    const names = new Set(list.map(({ name }) => name))
    for (const name of tasks.keys()) if (!names.has(name) && !told.has(name)) tasks.delete(name)
    for (const task of list) if (!told.has(task.name)) put(task)
    if (!seeded) history.seed(list, now())
    seeded = true
  } catch {
    // The connection's own state tells.
  } finally {
    told = undefined
  }
  draw()
}

function connect () {
  const url = new URL('feed', here)
  url.protocol = url.protocol.replace('http', 'ws')
  const socket = new WebSocket(url)
  socket.onopen = () => {
    retryAfter = 500
    setConnection('live', 'Live')
    poll()
  }
  socket.onmessage = ({ data }) => {
    const { event, task } = JSON.parse(data)
    told?.add(task.name)
    put(task)
    if (seeded) {
      if (event === 'start') history.at(now()).started++
      if (event === 'end') history.at(now())[task.state === 'failed' ? 'failed' : 'ended']++
    }
    draw()
  }
  socket.onclose = () => {
    setConnection('lost', 'Disconnected, retrying…')
    setTimeout(connect, retryAfter)
    retryAfter = Math.min(retryAfter * 2, 8_000)
  }
}
let retryAfter = 500

function setConnection (state, text) {
  $('connection').dataset.state = state
  $('connection').textContent = text
}

// --- to show ---

let drawing = false

/** Once for all that comes within a frame. */
function draw () {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    drawTotals()
    drawRows()
  })
}

function drawTotals () {
  const totals = { live: 0, completed: 0, failed: 0, cancelled: 0 }
  for (const task of tasks.values()) totals[isLive(task) ? 'live' : task.state]++
  for (const element of document.querySelectorAll('[data-total]')) {
    element.textContent = totals[element.dataset.total].toLocaleString('en')
    element.classList.toggle('alarm', element.dataset.total === 'failed' && totals.failed > 0)
  }
  $('purge').disabled = totals.live === tasks.size
  document.title = totals.live === 0 ? 'Tasks' : `(${totals.live}) Tasks`
}

function drawRows () {
  const search = $('search').value.toLowerCase()
  const filter = $('filter').value
  const shown = [...tasks.values()]
    .filter((task) => (filter === '' || (filter === 'live' ? isLive(task) : task.state === filter)) && task.name.toLowerCase().includes(search))
    .sort((a, b) => b.createdAt - a.createdAt || b.order - a.order)
  const body = $('tasks')
  const kept = new Set()
  let next = body.firstElementChild
  for (const task of shown) {
    const row = rowOf(task)
    kept.add(row)
    if (row === next) next = next.nextElementSibling
    else body.insertBefore(row, next)
  }
  for (const row of [...body.children]) if (!kept.has(row)) row.remove()
  for (const name of rows.keys()) if (!tasks.has(name)) rows.delete(name)
  $('empty').hidden = shown.length > 0
  $('empty').textContent = tasks.size === 0 ? 'No tasks yet. They appear here as they are added.' : 'No task matches.'
}

function rowOf (task) {
  let row = rows.get(task.name)
  if (row === undefined) {
    row = $('row').content.firstElementChild.cloneNode(true)
    row.querySelector('.name').textContent = row.querySelector('.name').title = task.name
    row.querySelector('.cancel').setAttribute('aria-label', `Cancel ${task.name}`)
    row.querySelector('.cancel').onclick = () => cancel(task.name)
    rows.set(task.name, row)
  }
  if (row.task === task) return row
  row.task = task
  const { state, progress, error } = task
  row.classList.toggle('ended', !isLive(task))
  const badge = row.querySelector('.badge')
  badge.textContent = badge.dataset.state = state
  drawProgress(row.querySelector('.progress'), progress)
  const cell = row.querySelector('.error')
  cell.textContent = error === undefined ? '' : error.code ?? error.message ?? 'Error'
  cell.title = error?.message ?? cell.textContent
  cell.classList.toggle('void', error === undefined)
  row.querySelector('.cancel').hidden = !isLive(task)
  row.querySelector('.cancel').disabled = state === 'cancelling'
  drawTime(row)
  return row
}

function drawProgress (cell, progress) {
  const [bar, text] = cell.children
  bar.hidden = typeof progress !== 'number'
  cell.classList.toggle('void', progress === undefined)
  if (typeof progress === 'number') {
    bar.value = progress
    text.textContent = `${Math.round(progress)} %`
  } else {
    text.textContent = progress === undefined ? '' : JSON.stringify(progress)
  }
  cell.title = text.textContent
}

/** What changes by itself. */
function drawTime (row) {
  const { createdAt, startedAt = createdAt, endedAt, lease, seenAt } = row.task
  row.querySelector('.age').textContent = duration((endedAt ?? now()) - startedAt)
  const cell = row.querySelector('.lease')
  const [bar, text] = cell.children
  cell.classList.toggle('void', lease === undefined)
  bar.hidden = lease === undefined
  const left = lease === undefined ? 0 : Math.max(0, lease.remaining - (Date.now() - seenAt))
  text.textContent = lease === undefined ? '' : duration(left)
  if (lease === undefined) return
  bar.value = left / lease.ttl
  bar.classList.toggle('low', left < lease.ttl / 4)
}

function duration (ms) {
  const seconds = Math.max(0, ms) / 1_000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor(seconds % 3_600 / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds % 86_400 / 3_600)} h`
}

function drawPlots () {
  if (document.hidden) return
  const buckets = history.last(now())
  plotRunning($('running'), buckets)
  plotEvents($('events'), buckets)
}

function tick () {
  let leased = false
  let running = 0
  for (const task of tasks.values()) {
    if (!isLive(task)) continue
    if (task.state !== 'pending') running++
    if (task.lease !== undefined) leased = true
    const row = rows.get(task.name)
    if (row?.isConnected) drawTime(row)
  }
  const connected = $('connection').dataset.state === 'live'
  if (seeded && connected) history.at(now()).running = running
  drawPlots()
  // A heartbeat is no event, and neither is a purge from elsewhere.
  if (connected && !document.hidden && Date.now() - polledAt >= (leased ? LEASE_POLL : IDLE_POLL)) poll()
}

// --- to act ---

function confirm (question, consequence, yes) {
  const dialog = $('confirm')
  $('question').textContent = question
  $('consequence').textContent = consequence
  $('yes').textContent = yes
  dialog.returnValue = ''
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true })
  })
}

let noticeTimer

function notify (text) {
  $('notice').textContent = text
  clearTimeout(noticeTimer)
  noticeTimer = setTimeout(() => { $('notice').textContent = '' }, 5_000)
}

async function cancel (name) {
  if (!await confirm(`Cancel ${name}?`, 'It is told to stop, and may take a moment to do so.', 'Cancel the task')) return
  try {
    const waiting = api(encodeURIComponent(name), { method: 'DELETE' })
    setTimeout(poll, 50)
    const task = await waiting
    told?.add(name)
    put(task)
    notify(task.state === 'cancelling' ? `${name} is still stopping` : `${name} has stopped: ${task.state}`)
  } catch (error) {
    notify(error.message)
  }
  draw()
}

async function purge () {
  if (!await confirm('Purge the ended tasks?', 'Their outcome is forgotten. Live tasks stay.', 'Purge')) return
  try {
    const { purged } = await api('purge', { method: 'POST' })
    for (const task of tasks.values()) if (!isLive(task)) tasks.delete(task.name)
    notify(`${purged} forgotten`)
  } catch (error) {
    notify(error.message)
  }
  draw()
}

$('search').oninput = $('filter').onchange = draw
$('purge').onclick = purge
$('no').onclick = () => $('confirm').close()
$('yes').onclick = () => $('confirm').close('yes')
document.onvisibilitychange = tick
new ResizeObserver(drawPlots).observe($('running'))
setInterval(tick, 500)
draw()
connect()
