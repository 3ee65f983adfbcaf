import type { JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import UPlot from 'uplot'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { count, plural } from './model/format'
import { WINDOW, type Happened } from './model/history'
import { onTheme } from './theme'
import { clock } from './time'

const STEP = 5
/** Drawn in this order: an end covers its start. */
const EVENTS = ['started', 'ended', 'failed'] as const
const LABELS = { started: 'started', ended: 'completed or cancelled', failed: 'failed' }

const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** The last five minutes. Where the page was not connected there is a gap. */
export function Plots ({ controller }: { controller: Controller }): JSX.Element {
  useEmitters(controller.onNumbers, controller.onPlace)
  const { history } = controller
  const total = history.total()
  const ended = total.completed + total.cancelled
  return (
    <section class='plots card' aria-label='The last five minutes'>
      <Figure
        controller={controller}
        id='running'
        caption={<span class='key running'>{controller.list.loaded ? count(controller.running) : '–'} running</span>}
        label={`Running over the last five minutes: ${plural(controller.running, controller.noun)} now`}
        options={runningOptions}
        data={runningData}
      />
      <Figure
        controller={controller}
        id='events'
        caption={<>{EVENTS.map((key) => <span class={`key ${key}`} key={key}>{LABELS[key]}</span>)}<span>per {STEP} s</span></>}
        label={`Events of the last five minutes: ${total.started} started, ${ended} completed or cancelled, ${total.failed} failed`}
        options={eventsOptions}
        data={eventsData}
      />
    </section>
  )
}

interface FigureProps {
  controller: Controller
  id: string
  caption: JSX.Element
  label: string
  options: (width: number, height: number) => UPlot.Options
  data: (controller: Controller) => UPlot.AlignedData
}

function Figure ({ controller, id, caption, label, options, data }: FigureProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const [reading, setReading] = useState<string>()
  useLayoutEffect(() => {
    const element = box.current!
    const create = (): void => {
      plot.current?.destroy()
      const made = options(element.clientWidth, element.clientHeight)
      made.hooks = { setCursor: [(plot) => setReading(readingAt(plot))] }
      plot.current = new UPlot(made, data(controller), element)
    }
    create()
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: element.clientHeight }))
    resized.observe(element)
    const off = onTheme.on(create)
    return () => {
      off()
      resized.disconnect()
      plot.current?.destroy()
    }
  }, [])
  useEffect(() => plot.current?.setData(data(controller)))
  return (
    <figure>
      <figcaption>{caption}<span class='reading' aria-hidden='true'>{reading}</span></figcaption>
      <div id={id} class='plot' role='img' aria-label={label} ref={box} />
    </figure>
  )
}

/** What is under the pointer. */
function readingAt ({ cursor: { idx }, data }: UPlot): string | undefined {
  if (idx == null) return undefined
  const values = data.slice(1).map((series) => series[idx])
  const said = values.some((value) => value == null) ? 'not connected' : values.map((value) => count(value!)).join(' · ')
  return `${clock(data[0][idx] * 1000)}: ${said}`
}

// --- running over time ---

function runningData ({ history }: Controller): UPlot.AlignedData {
  const { seconds, now } = history
  return [seconds.map((_, index) => now - WINDOW + 1 + index), seconds.map(({ running }) => running)]
}

function runningOptions (width: number, height: number): UPlot.Options {
  return {
    ...common(width, height),
    series: [{}, { stroke: colour('running'), fill: colour('running-fill'), width: 2, spanGaps: false, paths: UPlot.paths.stepped!({ align: 1 }), points: { show: false } }]
  }
}

// --- starts, ends and failures ---

function eventsData ({ history }: Controller): UPlot.AlignedData {
  const steps = history.steps(STEP)
  const values = (of: (step: Happened) => number): Array<number | null> => steps.map(({ happened }) => happened && of(happened))
  return [
    steps.map(({ at }) => at),
    values(({ started }) => started),
    values(({ completed, cancelled }) => completed + cancelled),
    values(({ failed }) => failed)
  ]
}

function eventsOptions (width: number, height: number): UPlot.Options {
  const line = (name: string, filled: boolean): UPlot.Series => ({
    stroke: colour(name), ...filled && { fill: colour(`${name}-fill`) }, width: 1.5, spanGaps: false, points: { show: false }
  })
  return { ...common(width, height), series: [{}, line('running', true), line('good', false), line('bad', true)] }
}

function common (width: number, height: number): Omit<UPlot.Options, 'series'> {
  const axis: UPlot.Axis = {
    stroke: colour('quiet'), font: '11px system-ui, sans-serif', grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }
  }
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: true },
      // Whole numbers from zero, and never a flat line at the top.
      y: { range: (_plot, _min, max) => [0, Math.max(4, Math.ceil((max ?? 0) * 1.1))] }
    },
    axes: [
      { ...axis, size: 24, space: 70, values: (_plot, times) => times.map((time) => clock(time * 1000).replace(/(\d\d:\d\d):00/, '$1')) },
      { ...axis, size: 44, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5], values: (_plot, values) => values.map((value) => count(value)) }
    ]
  }
}
