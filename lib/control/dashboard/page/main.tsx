import { render } from 'preact'
import { Acts } from './acts'
import { App, type TabProps } from './app'
import { Controller, type Served } from './controller'
import { readPlace, writePlace } from './model/location'

// No module: for one of those, browsers say an origin, which behind a proxy that hides the host is taken for another.
const base = new URL('.', (document.currentScript as HTMLScriptElement).src)
const tabs = document.documentElement.dataset.serve!.split(' ') as Served[]
/** A tab is connected when it is shown for the first time, and goes on from then: its plots have no gap when it is shown again. */
const opened = new Map<Served, TabProps>()

function open (tab: Served): TabProps {
  const known = opened.get(tab)
  if (known !== undefined) return known
  const controller = new Controller(base, tab, { ...readPlace(location.search), tab })
  const props = { controller, acts: new Acts(controller) }
  opened.set(tab, props)
  controller.connection.connect()
  return props
}

/** Shows what the address says. */
function follow (): void {
  const place = readPlace(location.search)
  const tab = tabs.includes(place.tab) ? place.tab : tabs[0]
  const props = open(tab)
  props.controller.navigation.follow({ ...place, tab })
  document.title = tab === 'tasks' ? 'Tasks' : 'Jobs'
  render(<App key={tab} {...props} tabs={tabs} show={show} />, document.getElementById('app')!)
}

function show (tab: Served): void {
  const place = opened.get(tab)?.controller.place ?? { ...readPlace(''), tab }
  history.pushState(null, '', `${location.pathname}${writePlace(place, location.search)}`)
  follow()
}

addEventListener('popstate', follow)
follow()
