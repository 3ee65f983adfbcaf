'use strict'

/** Every test covers the library alone: not its fixtures, its examples or its benchmarks. */
module.exports = () => ['index.ts', 'lib/**/*.ts']
