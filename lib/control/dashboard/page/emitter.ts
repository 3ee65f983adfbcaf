import { useEffect, useReducer } from 'preact/hooks'

/** Tells components that what they show has changed. */
export class Emitter {
  readonly #listeners = new Set<() => void>()

  emit (): void {
    for (const listener of this.#listeners) listener()
  }

  on (listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }
}

/** Draws the component again whenever one of them emits. */
export function useEmitters (...emitters: Emitter[]): void {
  const [, redraw] = useReducer<number, void>((count) => count + 1, 0)
  useEffect(() => {
    const offs = emitters.map((emitter) => emitter.on(() => redraw()))
    return () => { for (const off of offs) off() }
  }, emitters)
}
