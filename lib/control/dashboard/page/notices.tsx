import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { Emitter, useEmitters } from './emitter'

const changed = new Emitter()
let notice: { text: string, bad: boolean, id: number } | undefined
let id = 0

/** Says what an act has brought about, or why it was refused. */
export function say (text: string, bad = false): void {
  notice = { text, bad, id: ++id }
  changed.emit()
}

export function Notice (): JSX.Element {
  useEmitters(changed)
  useEffect(() => {
    // What went wrong stays until it has been read.
    if (notice === undefined || notice.bad) return
    const timer = setTimeout(dismiss, 6_000)
    return () => clearTimeout(timer)
  }, [notice?.id])
  return (
    <div id='notice' role='status' data-bad={notice?.bad}>
      {notice !== undefined && <><span>{notice.text}</span><button type='button' class='plain' aria-label='Dismiss' onClick={dismiss}>✕</button></>}
    </div>
  )
}

function dismiss (): void {
  notice = undefined
  changed.emit()
}
