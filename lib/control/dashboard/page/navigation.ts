import type { TaskRef } from './api'
import { writePlace, type Place } from './model/location'
import type { Row } from './model/store'

/** What is shown, as the address of the page says it. */
export class Navigation {
  /** @param moved is called with the place before */
  constructor (public place: Place, private readonly moved: (from: Place) => void) {}

  go (change: Partial<Place>, history: 'push' | 'replace' = 'replace'): void {
    const place = { ...this.place, ...change }
    const url = `${location.pathname}${writePlace(place, location.search)}`
    if (history === 'push') window.history.pushState(null, '', url)
    else window.history.replaceState(null, '', url)
    this.follow(place)
  }

  /** Shows what the address says. */
  follow (place: Place): void {
    const from = this.place
    this.place = place
    this.moved(from)
  }

  /** Where a task's panel is found. */
  linkTo ({ name, process }: TaskRef): string {
    return writePlace({ ...this.place, task: name, taskProcess: process?.id }, location.search)
  }

  /** Opens the panel of a task: going back closes it. */
  open ({ task }: Row): void {
    this.go({ task: task.name, taskProcess: task.process?.id }, 'push')
  }

  /** Closes the panel, and puts the focus back to its row. */
  close (): void {
    this.go({ task: undefined, taskProcess: undefined })
    const row = document.querySelector<HTMLElement>('.row[aria-selected=true] a') ?? document.querySelector<HTMLElement>('.row a[tabindex="0"]')
    row?.focus()
  }

  isOpen ({ task }: Row): boolean {
    return this.place.task === task.name && this.place.taskProcess === task.process?.id
  }
}
