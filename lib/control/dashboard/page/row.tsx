import { Component, type ComponentChildren, type JSX } from 'preact'
import type { Layout } from './columns'
import type { Controller } from './controller'
import { brief, duration, elapsed, relative } from './model/format'
import { safeName } from './model/names'
import { isLive, type ProcessRef, type Snapshot, type State } from './model/snapshot'
import type { Row } from './model/store'
import { durationOf, outcomeOf } from './model/view'
import { Name } from './name'
import { iso, moment } from './time'

interface RowProps {
  row: Row
  task: Snapshot
  /** What can be done to the task now, whatever a paused list shows. */
  act: 'cancel' | 'retry' | undefined
  lease: number | undefined
  index: number
  offset: number
  layout: Layout
  /** Draws the times again when it changes. */
  second: number | undefined
  showGroup: boolean
  showProcess: boolean
  canAct: boolean
  /** Whether Tab reaches it. */
  reachable: boolean
  /** Whether its panel is open. */
  open: boolean
  controller: Controller
  cancel: (row: Row) => void
  retry: (row: Row) => void
}

/** Draws only what has changed: thirty rows are cheap, thirty rows at each of 200 events a second are not. */
export class TaskRow extends Component<RowProps> {
  override shouldComponentUpdate (next: RowProps): boolean {
    const now = this.props
    return next.task !== now.task || next.second !== now.second || next.offset !== now.offset || next.index !== now.index ||
      next.act !== now.act || next.layout !== now.layout || next.canAct !== now.canAct || next.reachable !== now.reachable ||
      next.open !== now.open || next.showProcess !== now.showProcess || next.showGroup !== now.showGroup
  }

  render (props: RowProps): JSX.Element {
    const { row, task, act, index, offset, layout, canAct, reachable, controller, showGroup, showProcess, open } = props
    const name = safeName(task.name)
    const now = controller.rowsNow
    const tabIndex = reachable ? 0 : -1
    const cells = layout === 'wide'
      ? (
        <>
          {showGroup && <Cell id='group'><GroupOf task={task} /></Cell>}
          {showProcess && <Cell id='process'><ProcessOf process={task.process} /></Cell>}
          {controller.paged && (
            <>
              <Cell id='kind'>{task.kind !== undefined && <span title={safeName(task.kind)}><Name name={task.kind} /></span>}</Cell>
              <Cell id='queue'><span class='quiet'>{task.queue}</span></Cell>
              <Cell id='attempts number'><span class='quiet'>{task.attempts}</span></Cell>
            </>
          )}
          <Cell id='added number'><Added task={task} now={now} /></Cell>
          <Cell id='duration number'><Duration task={task} now={now} /></Cell>
          <Cell id='progress'><Progress task={task} /></Cell>
          <Cell id='lease'><Lease task={task} left={props.lease} /></Cell>
          <Cell id='outcome'><Outcome task={task} /></Cell>
        </>
        )
      : (
        <>
          <Cell id='times'><Added task={task} now={now} /><Duration task={task} now={now} prefix='ran ' /></Cell>
          <Cell id='more'>
            {task.kind !== undefined && <span class='tag'><Name name={task.kind} /></span>}
            {task.attempts !== undefined && task.attempts > 1 && <span class='quiet'>attempt {task.attempts}</span>}
            <GroupOf task={task} />
            {showProcess && <ProcessOf process={task.process} />}
            <Progress task={task} />
            <Lease task={task} left={props.lease} prefix='lease ' />
            <Outcome task={task} />
          </Cell>
        </>
        )
    return (
      <div
        role='row' class='row' data-state={task.state} aria-rowindex={index + 2} aria-selected={open} data-index={index}
        style={{ transform: `translateY(${offset}px)` }} onKeyDown={moveWithinRow}
      >
        <Cell id='name'>
          <a
            href={controller.navigation.linkTo(task)} tabIndex={tabIndex} title={name}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return
              event.preventDefault()
              controller.navigation.open(row)
            }}
          >
            <Name name={task.name} />
          </a>
        </Cell>
        <Cell id='state'><StateBadge state={task.state} /></Cell>
        {cells}
        <Cell id='action'>
          {act === 'cancel' && (
            <button type='button' class='cancel' tabIndex={tabIndex} disabled={!canAct} aria-label={`Cancel ${name}`} onClick={() => props.cancel(row)}>
              Cancel
            </button>
          )}
          {act === 'retry' && (
            <button type='button' class='cancel' tabIndex={tabIndex} disabled={!canAct} aria-label={`Retry ${name}`} onClick={() => props.retry(row)}>
              Retry
            </button>
          )}
        </Cell>
      </div>
    )
  }
}

function moveWithinRow (event: KeyboardEvent & { currentTarget: HTMLDivElement }): void {
  if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
  event.preventDefault()
  event.currentTarget.querySelector<HTMLElement>(event.key === 'ArrowLeft' ? 'a' : 'button:enabled')?.focus()
}

function Cell ({ id, children }: { id: string, children: ComponentChildren }): JSX.Element {
  return <div role='gridcell' class={id}>{children}</div>
}

export function StateBadge ({ state }: { state: State }): JSX.Element {
  return <span class='badge' data-state={state}>{state}</span>
}

function GroupOf ({ task: { group } }: { task: Snapshot }): JSX.Element | null {
  return group === undefined ? null : <span class='tag' title={safeName(group)}><Name name={group} /></span>
}

function ProcessOf ({ process }: { process: ProcessRef | undefined }): JSX.Element | null {
  return process === undefined ? null : <span class='quiet' title={process.id}>{process.hostname} · {process.pid}</span>
}

interface TimeProps { task: Snapshot, now: number, prefix?: string }

function Added ({ task: { createdAt }, now }: TimeProps): JSX.Element {
  return <time class='quiet' dateTime={iso(createdAt)} title={moment(createdAt)}>{relative(createdAt, now)}</time>
}

function Duration ({ task, now, prefix = '' }: TimeProps): JSX.Element | null {
  const ms = durationOf(task, now)
  return ms === undefined ? null : <span class='quiet'>{prefix}{isLive(task) ? elapsed(ms) : duration(ms)}</span>
}

export function Progress ({ task: { progress } }: { task: Snapshot }): JSX.Element | null {
  if (progress === undefined) return null
  if (typeof progress !== 'number') {
    const text = safeName(brief(progress))
    return <span class='json' title={text}>{text}</span>
  }
  return <span class='bar'><progress max={100} value={progress} aria-label='Progress' />{Math.floor(progress)} %</span>
}

export function Lease ({ task: { lease }, left, prefix = '' }: { task: Snapshot, left: number | undefined, prefix?: string }): JSX.Element | null {
  if (lease === undefined) return null
  if (left === undefined) return <span class='quiet'>{prefix}{duration(lease.ttl)}</span>
  return (
    <span class='bar lease' title={`Expires unless renewed. A renewal sets it to ${duration(lease.ttl)}`}>
      <progress class={left < lease.ttl / 4 ? 'low' : undefined} max={lease.ttl} value={left} aria-label='Lease' />{prefix}{elapsed(left)}
    </span>
  )
}

function Outcome ({ task }: { task: Snapshot }): JSX.Element | null {
  const text = safeName(outcomeOf(task))
  if (text === '') return null
  const { error } = task
  const title = task.state === 'failed' && error?.code !== undefined && error.message !== undefined ? safeName(`${error.code}: ${error.message}`) : text
  return <span class='why' data-state={task.state} title={title}>{text}</span>
}
