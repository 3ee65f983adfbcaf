// Each mutant runs each test file that reaches it, in a process of its own, so the properties are cut short and made to repeat.
process.env.PROPERTY_RUNS ??= '300'
process.env.PROPERTY_SEED ??= '1'
process.env.TAP_TIMEOUT ??= '60'

// `npm run test:mutation -- --mutate lib/task.ts` does one file. The jobs need a store and are not among the default.
export default {
  testRunner: 'tap',
  plugins: ['@stryker-mutator/tap-runner'],
  tap: {
    testFiles: ['test/index.test.ts', 'test/properties.test.ts', 'test/lib/*.test.ts'],
    nodeArgs: ['--import', 'tsx'],
    forceBail: true
  },
  mutate: ['index.ts', 'lib/*.ts'],
  ignorePatterns: ['dist', '.tap', 'reports', 'benchmarks'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 20_000,
  reporters: ['clear-text', 'json', 'progress-append-only'],
  clearTextReporter: { logTests: false, allowColor: false },
  thresholds: { high: 95, low: 90, break: 90 }
}
