import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Acts } from './acts'
import { POLL, type Controller } from './controller'
import { useEmitters } from './emitter'
import { duration, elapsed, relative } from './model/format'
import { namePrefix, safeName, safeText } from './model/names'
import { isLive, type Snapshot } from './model/snapshot'
import { durationOf, NO_FILTER } from './model/view'
import { Name } from './name'
import { Lease, StateBadge } from './row'
import { iso, moment } from './time'

/** All that is known of one task. It has an address of its own. */
export function Details ({ controller, acts }: { controller: Controller, acts: Acts }): JSX.Element | null {
  useEmitters(controller.onPlace, controller.onRows, controller.onNumbers)
  const { task: name, taskProcess } = controller.place
  if (name === undefined) return null
  return <Panel key={`${taskProcess} ${name}`} name={name} process={taskProcess} controller={controller} acts={acts} />
}

interface PanelProps { name: string, process: string | undefined, controller: Controller, acts: Acts }

function Panel ({ name, process, controller, acts }: PanelProps): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null)
  const [fetched, setFetched] = useState<Snapshot | 'unknown'>()
  // An address may name a task without its process.
  const row = controller.find(name, process ?? (fetched as Snapshot | undefined)?.process?.id)
  const [problem, setProblem] = useState<string>()
  const known = row?.task
  // Of a job on another page no event is taken: it is asked for time and again.
  const turn = controller.paged && known === undefined ? Math.floor(controller.now / POLL) : undefined
  const ended = known !== undefined && !isLive(known)

  // The stack of an error comes with no list and no event: it is asked for.
  useEffect(() => {
    if (!controller.live) return
    const ref = known ?? { name, process: process === undefined ? undefined : { id: process, pid: 0, hostname: '' } }
    controller.refresh(ref).then((snapshot) => setFetched(snapshot ?? 'unknown'), (error) => setProblem(controller.explain(error)))
  }, [controller.live, ended, known?.createdAt, turn])
  const focusHeading = (): void => heading.current?.focus({ preventScroll: true })
  useLayoutEffect(focusHeading, [])
  // The button that had the focus has gone with the end of the task.
  useLayoutEffect(() => { if (document.activeElement === document.body) focusHeading() }, [ended])

  const task = known !== undefined && (fetched === undefined || fetched === 'unknown' || isLive(fetched) || fetched.createdAt !== known.createdAt)
    ? known
    : fetched === 'unknown' ? undefined : fetched ?? known
  return (
    <section
      id='details' class='card' aria-labelledby='details-title'
      onKeyDown={(event) => { if (event.key === 'Escape') controller.navigation.close() }}
    >
      <header>
        <h2 id='details-title' tabIndex={-1} ref={heading}><Name name={name} /></h2>
        <button type='button' class='plain' aria-label='Close the details' onClick={() => controller.navigation.close()}>✕</button>
      </header>
      {task === undefined
        ? <p class='quiet'>{fetched === 'unknown' ? `The ${controller.noun} was not found. It may have been removed.` : problem ?? 'Loading…'}</p>
        : <Facts task={task} lease={row === undefined ? task.lease?.remaining : controller.leaseLeft(row)} controller={controller} acts={acts} />}
    </section>
  )
}

function Facts ({ task, lease, controller, acts }: { task: Snapshot, lease: number | undefined, controller: Controller, acts: Acts }): JSX.Element {
  const now = controller.now
  const live = isLive(task)
  const ran = durationOf(task, now)
  const { error, reason } = task
  return (
    <>
      <div class='buttons'>
        {live && <button type='button' disabled={!controller.live} onClick={() => { acts.cancel(task) }}>Cancel the {controller.noun}…</button>}
        {live && task.lease !== undefined && <button type='button' disabled={!controller.live} onClick={() => { acts.heartbeat(task) }}>Renew the lease</button>}
        {controller.paged && task.state === 'failed' && <button type='button' disabled={!controller.live} onClick={() => { acts.retry(task) }}>Retry the job</button>}
        {!live && !(controller.paged && task.state === 'failed') && <p class='quiet'>The {controller.noun} has ended.</p>}
      </div>
      <dl>
        <Fact label='State'><StateBadge state={task.state} /></Fact>
        <Fact label='Progress' if={task.progress}><ProgressInFull task={task} /></Fact>
        <Fact label='Cancel reason' if={reason}>
          {reason?.code !== undefined && <code>{reason.code}</code>} {reason?.message !== undefined && <span class='text'>{safeName(reason.message)}</span>}
        </Fact>
        <Fact label='Error' if={task.state === 'cancelled' && reason !== undefined ? undefined : error}>
          {error?.code !== undefined && <code>{error.code}</code>} {error?.message !== undefined && <span class='text'>{safeName(error.message)}</span>}
          {error?.code === undefined && error?.message === undefined && <span class='quiet'>Its text is not shown: see the log, or exposeErrors.</span>}
        </Fact>
        <Fact label='Stack' if={error?.stack}><pre tabIndex={0} aria-label='Stack'>{safeText(error?.stack ?? '')}</pre></Fact>
        <Moment label='Added' time={task.createdAt} now={now} />
        <Moment label='Started' time={task.startedAt} now={now} />
        <Moment label='Ended' time={task.endedAt} now={now} />
        <Fact label={live ? 'Running for' : 'Ran for'} if={ran}>{live ? elapsed(ran!) : duration(ran ?? 0)}</Fact>
        <Fact label='Lease' if={task.lease}><Lease task={task} left={lease} /> <span class='quiet'>of {duration(task.lease?.ttl ?? 0)}</span></Fact>
        <Fact label='Group' if={task.group}>
          <FilterLink controller={controller} filter={{ group: task.group }}><Name name={task.group ?? ''} /></FilterLink>
        </Fact>
        <Fact label='Kind' if={task.kind}>{task.kind}</Fact>
        <Fact label='Queue' if={task.queue}>{task.queue}</Fact>
        <Fact label='Attempts' if={task.attempts}>{task.attempts}</Fact>
        <Fact label='Names like it' if={namePrefix(task.name)}>
          <FilterLink controller={controller} filter={{ prefix: namePrefix(task.name) }}><Name name={namePrefix(task.name) ?? ''} />*</FilterLink>
        </Fact>
        <Fact label='Process' if={task.process}>{task.process?.hostname} · pid {task.process?.pid}<br /><code>{task.process?.id}</code></Fact>
        <Fact label='Name'><code class='text'>{safeName(task.name)}</code></Fact>
      </dl>
    </>
  )
}

/** One line of the panel, if there is anything to say. */
function Fact ({ label, children, ...rest }: { label: string, children: ComponentChildren, if?: unknown }): JSX.Element | null {
  if ('if' in rest && rest.if === undefined) return null
  return <div><dt>{label}</dt><dd>{children}</dd></div>
}

function Moment ({ label, time, now }: { label: string, time: number | undefined, now: number }): JSX.Element {
  return (
    <Fact label={label} if={time}>
      <time dateTime={iso(time!)}>{moment(time!)}</time> <span class='quiet ago'>{relative(time!, now)}</span>
    </Fact>
  )
}

function ProgressInFull ({ task: { progress } }: { task: Snapshot }): JSX.Element {
  if (typeof progress !== 'number') return <pre tabIndex={0} aria-label='Progress'>{safeText(JSON.stringify(progress, null, 2))}</pre>
  return <span class='bar'><progress max={100} value={progress} aria-label='Progress' />{progress} %</span>
}

function FilterLink ({ controller, filter, children }: { controller: Controller, filter: Partial<typeof NO_FILTER>, children: ComponentChildren }): JSX.Element {
  return <button type='button' class='link' onClick={() => controller.navigation.go({ filter: { ...NO_FILTER, ...filter } })}>{children}</button>
}
