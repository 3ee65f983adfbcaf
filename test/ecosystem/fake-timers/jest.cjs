'use strict'
/* global jest, test */
require('./cases.cjs')(test, {
  // Fastify and the promises of Node's own streams need `process.nextTick`.
  useFake: () => jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] }),
  useReal: () => jest.useRealTimers(),
  advance: (ms) => jest.advanceTimersByTimeAsync(ms)
})
