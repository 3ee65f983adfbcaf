import { test, vi } from 'vitest'
import cases from './cases.cjs'

cases(test, {
  useFake: () => vi.useFakeTimers(),
  useReal: () => vi.useRealTimers(),
  advance: (ms) => vi.advanceTimersByTimeAsync(ms)
})
