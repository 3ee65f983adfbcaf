import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Emitter } from './emitter'

const THEMES = ['system', 'light', 'dark'] as const
type Theme = typeof THEMES[number]

const KEY = 'fastify-tasks-theme'

/** The colours are others. */
export const onTheme = new Emitter()

function stored (): Theme {
  try {
    const theme = localStorage.getItem(KEY) as Theme
    return THEMES.includes(theme) ? theme : 'system'
  } catch {
    // Storage may be forbidden.
    return 'system'
  }
}

function apply (theme: Theme): void {
  if (theme === 'system') document.documentElement.removeAttribute('data-theme')
  else document.documentElement.dataset.theme = theme
}

apply(stored())
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => onTheme.emit())

export function ThemeSwitch (): JSX.Element {
  const [theme, setTheme] = useState(stored)
  const choose = (theme: Theme): void => {
    setTheme(theme)
    apply(theme)
    try {
      localStorage.setItem(KEY, theme)
    } catch {
      // It holds until the page is left.
    }
    onTheme.emit()
  }
  return (
    <label class='theme'>
      <span class='unseen'>Colours</span>
      <select value={theme} onChange={({ currentTarget }) => choose(currentTarget.value as Theme)}>
        <option value='system'>System</option>
        <option value='light'>Light</option>
        <option value='dark'>Dark</option>
      </select>
    </label>
  )
}
