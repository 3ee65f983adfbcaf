import type { ComponentChildren, JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { Emitter, useEmitters } from './emitter'

interface Question {
  title: ComponentChildren
  text: ComponentChildren
  /** What the button says that does it. */
  act: string
  /** What the button says that does nothing. */
  keep: string
  /** Whether a reason may be given. */
  asksReason?: boolean
  answer: (answer: Answer) => void
}

interface Answer { act: boolean, reason?: string }

const changed = new Emitter()
let question: Question | undefined

/** Asks before something is done that cannot be taken back. The focus goes back to where it was. */
export async function ask (asked: Omit<Question, 'answer'>): Promise<Answer> {
  return await new Promise((resolve) => {
    question?.answer({ act: false })
    question = { ...asked, answer: resolve }
    changed.emit()
  })
}

export function QuestionDialog (): JSX.Element | null {
  useEmitters(changed)
  const dialog = useRef<HTMLDialogElement>(null)
  const input = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => { if (question !== undefined) dialog.current?.showModal() }, [question])
  if (question === undefined) return null
  const close = (act: boolean): void => {
    const { answer } = question!
    const reason = input.current?.value.trim()
    dialog.current?.close()
    question = undefined
    changed.emit()
    answer({ act, reason: reason === '' ? undefined : reason })
  }
  return (
    <dialog ref={dialog} aria-labelledby='question-title' aria-describedby='question-text' onCancel={(event) => { event.preventDefault(); close(false) }}>
      <h2 id='question-title'>{question.title}</h2>
      <div id='question-text'>{question.text}</div>
      {question.asksReason === true && (
        <label class='reason'>Reason <input ref={input} maxLength={1000} placeholder='optional' /></label>
      )}
      <div class='buttons'>
        <button type='button' autofocus onClick={() => close(false)}>{question.keep}</button>
        <button type='button' class='danger' onClick={() => close(true)}>{question.act}</button>
      </div>
    </dialog>
  )
}
