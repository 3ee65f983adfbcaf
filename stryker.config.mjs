// Each mutant runs, in a process of its own, each file of tests that reaches it, until one fails. The process costs more than its
// tests: so TypeScript is compiled once, for all mutants; the properties are cut short and made to repeat; and left out is what
// takes seconds for its numbers' sake, and what starts a browser or processes that would run the sources instead.
Object.assign(process.env, {
  PROPERTY_RUNS: '200',
  PROPERTY_SEED: '1',
  TAP_INVERT: '1',
  TAP_GREP: 'in a real browser|two seconds of hostile input|leads to an unhandledRejection|^20,000 live tasks|among many tasks|^300 WebSocket clients|^a store that falls silent',
  TAP_TIMEOUT: '15'
})

// `npm run test:mutation -- --mutate lib/tasks/task.ts` does one file. The jobs are not among the default: `-- --mutate 'lib/jobs/!(index).ts'`
// does all that is tested without a server, `-- --mutate lib/jobs/index.ts` the rest (TEST_POSTGRES=<url> saves each mutant its own).
const mutates = (path) => process.argv.some((argument) => argument.includes(path))
const testFiles = mutates('lib/jobs/index.ts')
  ? ['test/jobs/jobs.test.js', 'test/shared/optional-peer.test.js']
  : mutates('lib/jobs')
    ? ['test/jobs/!(jobs|closing|postgres|redis).test.js']
    : ['test/{properties,index,security}.test.js', 'test/{tasks,control,shared}/*.test.js']

export default {
  testRunner: 'tap',
  plugins: ['@stryker-mutator/tap-runner'],
  buildCommand: 'tsc -p test/tsconfig.mutation.json',
  tap: {
    testFiles,
    nodeArgs: [],
    forceBail: true
  },
  mutate: ['index.ts', 'lib/{tasks,control,shared}/**/*.ts', '!lib/control/dashboard/{assets.ts,page/**}'],
  ignorePatterns: ['dist', '.tap', 'reports', 'benchmarks'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 20_000,
  timeoutFactor: 4,
  logLevel: 'error',
  reporters: ['clear-text', 'json', 'progress-append-only'],
  clearTextReporter: { reportTests: false, allowColor: false },
  thresholds: { high: 95, low: 90, break: 90 }
}
