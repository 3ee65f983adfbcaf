import type { JSX } from 'preact'
import { nameParts } from './model/names'

/** A name as its own island of text: nothing in it changes how what is around it reads, and nothing in it goes unseen. */
export function Name ({ name }: { name: string }): JSX.Element {
  return (
    <bdi>
      {nameParts(name).map(({ text, special }, index) => special ? <span class='special' key={index}>{text}</span> : text)}
    </bdi>
  )
}
