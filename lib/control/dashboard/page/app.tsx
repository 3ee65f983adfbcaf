import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Acts } from './acts'
import type { Controller } from './controller'
import { Details } from './details'
import { useEmitters } from './emitter'
import { TaskList } from './list'
import { Notice } from './notices'
import { Numbers } from './numbers'
import { Plots } from './plots'
import { ProcessPanel } from './process'
import { QuestionDialog } from './question'
import { StatisticsPanel } from './statistics'
import { StatusBanner, StatusPill } from './status'
import { ThemeSwitch } from './theme'
import { Toolbar } from './toolbar'

/** A phone shows the list first: the plots are one tap away. */
const ROOMY = 760

function Overview ({ controller }: { controller: Controller }): JSX.Element {
  const [open, setOpen] = useState(() => innerWidth > ROOMY)
  return (
    <div>
      <button type='button' class='link fold' aria-expanded={open} aria-controls='overview' onClick={() => setOpen(!open)}>
        <span aria-hidden='true'>{open ? '▾' : '▸'}</span> Plots and statistics
      </button>
      <div class='overview' id='overview'>
        {open && <><Plots controller={controller} /><StatisticsPanel controller={controller} /></>}
      </div>
    </div>
  )
}

export function App ({ controller, acts }: { controller: Controller, acts: Acts }): JSX.Element {
  useEmitters(controller.onPlace)
  return (
    <>
      <header class='top'>
        <h1>Tasks</h1>
        <ProcessPanel controller={controller} />
        <StatusPill controller={controller} />
        <ThemeSwitch />
      </header>
      <main data-details={controller.place.task !== undefined || undefined} data-stale={!controller.live || undefined}>
        <StatusBanner controller={controller} />
        <Numbers controller={controller} />
        <Overview controller={controller} />
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
