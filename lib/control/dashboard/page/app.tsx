import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { Acts } from './acts'
import type { Controller, Served } from './controller'
import { Details } from './details'
import { useEmitters } from './emitter'
import { TaskList } from './list'
import { Notice } from './notices'
import { Numbers } from './numbers'
import { Plots } from './plots'
import { ProcessPanel } from './process'
import { QuestionDialog } from './question'
import { QueuesPanel } from './queues'
import { StatisticsPanel } from './statistics'
import { StatusBanner, StatusPill } from './status'
import { ThemeSwitch } from './theme'
import { Toolbar } from './toolbar'

export interface TabProps { controller: Controller, acts: Acts }

const TITLES = { tasks: 'Tasks', jobs: 'Jobs' }

interface AppProps extends TabProps {
  /** What the server serves: each has a tab. */
  tabs: Served[]
  /** Goes to another tab. */
  show: (tab: Served) => void
}

export function App ({ controller, acts, tabs, show }: AppProps): JSX.Element {
  useEmitters(controller.onPlace)
  return (
    <>
      <header class='top'>
        {tabs.length > 1 ? <Tabs tabs={tabs} shown={controller.serves} show={show} /> : <h1>{TITLES[controller.serves]}</h1>}
        <ProcessPanel controller={controller} />
        <StatusPill controller={controller} />
        <ThemeSwitch />
      </header>
      <main data-details={controller.place.task !== undefined || undefined} data-stale={!controller.live || undefined}>
        <StatusBanner controller={controller} />
        <Numbers controller={controller} />
        <Overview controller={controller} acts={acts} />
        <div class='work'>
          <div class='tasks'>
            <Toolbar controller={controller} acts={acts} />
            <TaskList controller={controller} acts={acts} />
          </div>
          <Details controller={controller} acts={acts} />
        </div>
      </main>
      <Notice />
      <QuestionDialog />
    </>
  )
}

function Tabs ({ tabs, shown, show }: { tabs: Served[], shown: Served, show: (tab: Served) => void }): JSX.Element {
  return (
    <nav class='tabs' aria-label='What is shown'>
      {tabs.map((tab) => (
        <a
          key={tab} href={`?tab=${tab}`} aria-current={tab === shown ? 'page' : undefined}
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return
            event.preventDefault()
            show(tab)
          }}
        >
          {tab === shown ? <h1>{TITLES[tab]}</h1> : TITLES[tab]}
        </a>
      ))}
    </nav>
  )
}

/** A phone shows the list first: the plots are one tap away. */
const ROOMY = 760

function Overview ({ controller, acts }: TabProps): JSX.Element {
  const [open, setOpen] = useState(() => innerWidth > ROOMY)
  return (
    <div>
      <button type='button' class='link fold' aria-expanded={open} aria-controls='overview' onClick={() => setOpen(!open)}>
        <span aria-hidden='true'>{open ? '▾' : '▸'}</span> Plots and {controller.paged ? 'queues' : 'statistics'}
      </button>
      <div class='overview' id='overview'>
        {open && (
          <>
            <Plots controller={controller} />
            {controller.paged ? <QueuesPanel controller={controller} acts={acts} /> : <StatisticsPanel controller={controller} />}
          </>
        )}
      </div>
    </div>
  )
}
