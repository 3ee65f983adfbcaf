'use strict'
const { mock, test } = require('node:test')

require('./cases.cjs')(test, {
  useFake: () => mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] }),
  useReal: () => mock.timers.reset(),
  advance: async (ms) => mock.timers.tick(ms)
})
