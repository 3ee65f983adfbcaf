import type { JSX } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Acts } from './acts'
import { columnsFor, JOB_COLUMNS, LAYOUTS, layoutFor, tableWidth, type Column, type Layout } from './columns'
import type { Controller } from './controller'
import { useEmitters } from './emitter'
import { isFiltered, nextSort } from './model/location'
import { isLive } from './model/snapshot'
import type { Row } from './model/store'
import { TaskRow } from './row'
import { useVirtualRows } from './virtual'

const HEAD = 40

/** The tasks: only the rows in view are in the document. One row at a time is reached by Tab, the others from it by the arrow keys. */
export function TaskList ({ controller, acts }: { controller: Controller, acts: Acts }): JSX.Element {
  useEmitters(controller.onRows)
  const box = useRef<HTMLDivElement>(null)
  const { rows } = controller.view
  const showProcess = controller.list.processes.size > 1
  const showGroup = controller.store.groups.size > 0
  const [layout, top] = useLayout(box, tableWidth(controller.serves, { group: showGroup, process: showProcess }))
  const focus = useRowFocus(box, rows)
  const virtual = useVirtualRows({ count: rows.length, height: LAYOUTS[layout].height, top, covered: layout === 'wide' ? HEAD : 0, keep: focus.kept })
  const items = virtual.getVirtualItems()
  const second = Math.floor(controller.rowsNow / 1000)
  controller.inView = items.map(({ index }) => rows[index])

  function move (event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key]
    if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    const index = Math.max(0, Math.min(rows.length - 1, focus.index + step))
    virtual.scrollToIndex(index)
    focus.moveTo(index)
  }

  return (
    <div class='list card' data-layout={layout} data-serves={controller.serves} data-group={showGroup || undefined} data-process={showProcess || undefined} ref={box}>
      {rows.length === 0
        ? <Empty controller={controller} />
        : (
          <div
            id='tasks' role='grid' aria-label={controller.paged ? 'Jobs' : 'Tasks'} aria-rowcount={rows.length + 1} aria-readonly='true'
            onKeyDown={move} onFocusIn={focus.handleEnter} onFocusOut={focus.handleLeave}
          >
            {layout === 'wide' && (controller.paged ? <JobHead /> : <Head controller={controller} columns={columnsFor({ group: showGroup, process: showProcess })} />)}
            <div role='rowgroup' class='rows' style={{ height: `${rows.length * LAYOUTS[layout].height}px` }}>
              {items.map(({ index, start }) => {
                const row = rows[index]
                return row?.shown === undefined
                  ? null
                  : (
                    <TaskRow
                      key={row.key}
                      row={row}
                      task={row.shown}
                      act={row.gone ? undefined : isLive(row.task) ? 'cancel' : controller.paged && row.task.state === 'failed' ? 'retry' : undefined}
                      lease={controller.leaseLeft(row)}
                      index={index}
                      offset={start - top}
                      layout={layout}
                      second={isLive(row.shown) || second % 5 === 0 ? second : undefined}
                      showGroup={showGroup}
                      showProcess={showProcess}
                      canAct={controller.live}
                      reachable={index === focus.index}
                      open={controller.navigation.isOpen(row)}
                      controller={controller}
                      cancel={async (row) => {
                        await acts.cancel(row.task)
                        focus.recover()
                      }}
                      retry={(row) => { acts.retry(row.task) }}
                    />
                    )
              })}
            </div>
          </div>
          )}
    </div>
  )
}

function Head ({ controller, columns }: { controller: Controller, columns: Column[] }): JSX.Element {
  const { sort } = controller.place
  return (
    <div role='rowgroup' class='head'>
      <div role='row' aria-rowindex={1} class='row'>
        {columns.map(({ id, label, number }) => {
          const sorted = sort.by !== id ? undefined : sort.descending ? 'descending' : 'ascending'
          return (
            <div role='columnheader' key={id} class={`${id}${number ? ' number' : ''}`} aria-sort={sorted}>
              <button type='button' class='plain' onClick={() => controller.navigation.go({ sort: nextSort(sort, id) })}>
                {label}<span aria-hidden='true'>{sorted === undefined ? '' : sort.descending ? ' ↓' : ' ↑'}</span>
              </button>
            </div>
          )
        })}
        <div role='columnheader' class='action'><span class='unseen'>Act</span></div>
      </div>
    </div>
  )
}

function JobHead (): JSX.Element {
  return (
    <div role='rowgroup' class='head'>
      <div role='row' aria-rowindex={1} class='row'>
        {JOB_COLUMNS.map(({ id, label, number }) => <div role='columnheader' key={id} class={`${id}${number ? ' number' : ''}`}><span class='label'>{label}</span></div>)}
        <div role='columnheader' class='action'><span class='unseen'>Act</span></div>
      </div>
    </div>
  )
}

function Empty ({ controller }: { controller: Controller }): JSX.Element {
  const { status } = controller.connection
  const filtered = isFiltered(controller.place.filter)
  let text = 'Loading…'
  const { noun } = controller
  if (controller.list.loaded) text = filtered ? `No matching ${noun}s.` : `No ${noun}s yet. They appear here as soon as the app adds one.`
  else if (status.state === 'denied' || status.state === 'lost') text = `The ${noun}s could not be loaded.`
  return <p id='empty'>{text}</p>
}

/** The layout that fits the width of the list, and where its rows begin in the document. */
function useLayout (box: { current: HTMLDivElement | null }, table: number): [Layout, number] {
  const [width, setWidth] = useState(() => document.documentElement.clientWidth - 48)
  const [top, setTop] = useState(0)
  useLayoutEffect(() => {
    const list = box.current!
    const measure = (): void => {
      setWidth(list.clientWidth)
      const rows = list.querySelector('.rows') ?? list
      setTop(Math.round(rows.getBoundingClientRect().top + scrollY))
    }
    const observer = new ResizeObserver(measure)
    // What is above the list moves it when it grows.
    observer.observe(list)
    observer.observe(document.body)
    return () => observer.disconnect()
  }, [])
  return [layoutFor(width, table), top]
}

interface RowFocus {
  /** The row that Tab reaches. */
  index: number
  /** The row that must stay in the document. */
  kept: number | undefined
  moveTo: (index: number) => void
  handleEnter: (event: FocusEvent) => void
  handleLeave: (event: FocusEvent) => void
  recover: () => void
}

/** Keeps the focus where a person expects it while rows come, go and move. */
function useRowFocus (box: { current: HTMLDivElement | null }, rows: Row[]): RowFocus {
  const state = useRef({ key: '', index: 0, inside: false, wanted: false })
  const at = state.current
  const found = rows[at.index]?.key === at.key ? at.index : at.inside ? rows.findIndex(({ key }) => key === at.key) : -1
  if (found !== -1) at.index = found
  at.index = Math.max(0, Math.min(at.index, rows.length - 1))

  const focusRow = (): void => {
    const link = box.current?.querySelector<HTMLElement>(`[data-index="${at.index}"] a`)
    if (link != null) link.focus({ preventScroll: true })
    else document.querySelector<HTMLElement>('#search')?.focus()
  }

  useLayoutEffect(() => {
    // The row, or the button in it, that had the focus is gone.
    if (at.wanted || (at.inside && document.activeElement === document.body)) {
      at.wanted = false
      focusRow()
    }
  })

  return {
    index: at.index,
    kept: at.inside || at.wanted ? at.index : undefined,
    moveTo (index) {
      Object.assign(at, { index, key: rows[index].key, wanted: true, inside: true })
      focusAfterDraw()
    },
    handleEnter ({ target }) {
      const index = (target as Element).closest('[data-index]')?.getAttribute('data-index')
      if (index != null) Object.assign(at, { index: Number(index), key: rows[Number(index)]?.key ?? '', inside: true })
    },
    handleLeave ({ target, relatedTarget }) {
      // Taken out of the document, an element loses the focus too: then the next draw finds it another place.
      if (relatedTarget !== null && !box.current!.contains(relatedTarget as Node)) at.inside = false
      else queueMicrotask(() => { if ((target as Element).isConnected && document.activeElement === document.body) at.inside = false })
    },
    recover () {
      if (document.activeElement === document.body) focusRow()
    }
  }

  function focusAfterDraw (): void {
    requestAnimationFrame(() => {
      if (at.wanted) {
        at.wanted = false
        focusRow()
      }
    })
  }
}
