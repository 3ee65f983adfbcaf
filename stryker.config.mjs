import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Each mutant runs, in a process of its own, each file of tests that reaches it, until one fails. The process costs more than its
// tests: so TypeScript is compiled once, for all mutants; the properties are cut short and made to repeat; and left out is what
// takes seconds for its numbers' sake, and what starts a browser or processes that would run the sources instead.
Object.assign(process.env, {
  PROPERTY_RUNS: '200',
  PROPERTY_SEED: '1',
  TAP_INVERT: '1',
  TAP_GREP: [
    'in a real browser', 'two seconds of hostile input', 'leads to an unhandledRejection', '^20,000 live tasks', 'fifty thousand a round', 'among many tasks', 'beside 100,000 tasks',
    'however many tasks are live', 'however long the kernel', '^300 WebSocket clients', '^a store that falls silent', '^the bundled page is the one'
  ].join('|'),
  TAP_TIMEOUT: '10',
  // From Node.js 22.1: what each process would compile again.
  NODE_COMPILE_CACHE: join(tmpdir(), 'fastify-tasks-compile-cache')
})

// Without the page, which is tested in a browser, but for its model; without what tests starting real processes and stores.
const MUTATED = ['index.ts', 'lib/**/*.ts', '!lib/control/dashboard/{assets,page/!(model)/**/*,page/*}.ts']
const TESTS = ['test/{properties,index,security,costs,leaks}.test.js', 'test/{tasks,shared}/*.test.js', 'test/control/!(dashboard-browser|dashboard-axe).test.js',
  'test/jobs/!(closing|*postgres|*redis).test.js', 'test/processes/!(processes|redis).test.js']

export default {
  testRunner: 'tap',
  plugins: ['@stryker-mutator/tap-runner'],
  buildCommand: 'tsc -p test/tsconfig.mutation.json',
  tap: {
    testFiles: TESTS,
    nodeArgs: [],
    forceBail: true
  },
  mutate: MUTATED,
  ignorePatterns: ['dist', '.tap', 'reports', 'benchmarks'],
  coverageAnalysis: 'perTest',
  // More than cores: tests wait, too.
  concurrency: 3,
  timeoutMS: 20_000,
  timeoutFactor: 4,
  logLevel: 'error',
  reporters: ['clear-text', 'json', 'progress-append-only'],
  clearTextReporter: { reportTests: false, allowColor: false },
  thresholds: { high: 95, low: 90, break: 90 }
}
