import { observeWindowOffset, observeWindowRect, Virtualizer, windowScroll, defaultRangeExtractor } from '@tanstack/virtual-core'
import { useLayoutEffect, useReducer, useRef } from 'preact/hooks'

interface VirtualOptions {
  count: number
  /** Of each row, in px. */
  height: number
  /** Where the rows begin in the document, in px. */
  top: number
  /** How much of the window's top is covered by what stays in place, in px. */
  covered: number
  /** A row that stays in the document though it is out of view: the one that has the focus. */
  keep: number | undefined
}

/** Which rows are in view of the window. */
export function useVirtualRows ({ count, height, top, covered, keep }: VirtualOptions): Virtualizer<Window, Element> {
  const [, redraw] = useReducer<number, void>((count) => count + 1, 0)
  const ref = useRef<Virtualizer<Window, Element>>(undefined)
  const options = {
    count,
    estimateSize: () => height,
    getScrollElement: () => window,
    scrollToFn: windowScroll,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    initialOffset: () => window.scrollY,
    initialRect: { width: window.innerWidth, height: window.innerHeight },
    scrollMargin: top,
    scrollPaddingStart: covered,
    overscan: 6,
    rangeExtractor: (range: Parameters<typeof defaultRangeExtractor>[0]) => {
      const indexes = defaultRangeExtractor(range)
      if (keep !== undefined && keep < count && !indexes.includes(keep)) indexes.push(keep)
      return indexes
    },
    onChange: () => redraw()
  }
  const virtualizer = ref.current ??= new Virtualizer<Window, Element>(options)
  virtualizer.setOptions(options)
  useLayoutEffect(() => virtualizer._didMount(), [])
  useLayoutEffect(() => virtualizer._willUpdate())
  useLayoutEffect(() => virtualizer.measure(), [height])
  return virtualizer
}
