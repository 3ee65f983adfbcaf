/* global document */

const SVG = 'http://www.w3.org/2000/svg'
const HEIGHT = 120
const BUCKETS = 60

/** How long a bucket is, in ms. */
export const BUCKET = 5_000

/** What happened in the last minutes, a bucket for every five seconds. */
export class History {
  buckets = new Map()

  at (time) {
    const key = Math.floor(time / BUCKET)
    let bucket = this.buckets.get(key)
    if (bucket === undefined) this.buckets.set(key, bucket = { started: 0, ended: 0, failed: 0, running: undefined })
    return bucket
  }

  /** What the list knows of the time before the page was opened. */
  seed (tasks, now) {
    for (const { startedAt, endedAt, state } of tasks) {
      if (startedAt > now - BUCKETS * BUCKET) this.at(startedAt).started++
      if (endedAt > now - BUCKETS * BUCKET) this.at(endedAt)[state === 'failed' ? 'failed' : 'ended']++
    }
    for (let time = now - BUCKETS * BUCKET; time <= now; time += BUCKET) {
      this.at(time).running = tasks.filter((task) => task.startedAt <= time && !(task.endedAt <= time)).length
    }
  }

  /** The buckets that are shown, the oldest first. Forgets the others. */
  last (now) {
    const newest = Math.floor(now / BUCKET)
    for (const key of this.buckets.keys()) if (key <= newest - BUCKETS) this.buckets.delete(key)
    let running = 0
    return Array.from({ length: BUCKETS }, (_, i) => {
      const bucket = this.buckets.get(newest - BUCKETS + 1 + i)
      running = bucket?.running ?? running
      return { started: 0, ended: 0, failed: 0, ...bucket, running }
    })
  }
}

function shape (name, attributes, text) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  if (text !== undefined) element.textContent = text
  return element
}

/** A frame with its greatest value at the top; the functions that place a value in it. */
function frame (svg, greatest) {
  const width = svg.clientWidth
  const height = svg.clientHeight || HEIGHT
  const max = Math.max(greatest, 4)
  const bottom = height - 18
  const x = (i) => i * width / BUCKETS
  const y = (value) => bottom - value / max * (bottom - 16)
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
  svg.replaceChildren(
    ...[0, max / 2, max].map((value) => shape('line', { x1: 0, x2: width, y1: y(value), y2: y(value) })),
    shape('text', { x: 0, y: y(max) - 4 }, String(max)),
    shape('text', { x: 0, y: height - 4 }, '5 min ago'),
    shape('text', { x: width, y: height - 4, 'text-anchor': 'end' }, 'now')
  )
  return { x, y, width, bottom }
}

export function plotRunning (svg, buckets) {
  const values = buckets.map(({ running }) => running)
  const { x, y, width, bottom } = frame(svg, Math.max(...values))
  const points = [...values, values.at(-1)].map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  svg.append(
    shape('polygon', { class: 'area', points: `0,${bottom} ${points} ${width},${bottom}` }),
    shape('polyline', { class: 'curve', points })
  )
  svg.setAttribute('aria-label', `${values.at(-1)} running now, ${Math.max(...values)} at most in the last five minutes`)
}

export function plotEvents (svg, buckets) {
  const { x, y } = frame(svg, Math.max(...buckets.map(({ started, ended, failed }) => Math.max(started, ended + failed))))
  const bar = Math.max(1.5, x(1) / 2 - 1)
  const total = { started: 0, ended: 0, failed: 0 }
  buckets.forEach((bucket, i) => {
    const put = (name, left, from, count) => {
      total[name] += count
      if (count > 0) svg.append(shape('rect', { class: name, x: left, y: y(from + count), width: bar, height: y(from) - y(from + count) }))
    }
    put('started', x(i), 0, bucket.started)
    put('failed', x(i) + bar + 0.5, 0, bucket.failed)
    put('ended', x(i) + bar + 0.5, bucket.failed, bucket.ended)
  })
  svg.setAttribute('aria-label', `In the last five minutes ${total.started} started, ${total.ended} ended, ${total.failed} failed`)
}
