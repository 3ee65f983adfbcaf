import t from 'tap'
import type { FastifyJobsOptions } from '../../types/job'
import * as options from '../../lib/jobs/options'
import { fakeLog } from '../fixtures/log'

const { checkDefinition, checkJobOptions, checkText, concurrencyOf } = options
const { log, warnings } = fakeLog()
const checkPluginOptions = (registered: FastifyJobsOptions | object): options.Settings => options.checkPluginOptions(log, registered as FastifyJobsOptions)

const MAX = 2 ** 31 - 1
const handler = async (): Promise<void> => {}

interface Taken { takes: unknown[], refuses: unknown[], expected: string }

const numberFrom = (min: number): Taken => ({
  takes: [min, MAX], refuses: [min - 1, MAX + 1, min + 0.5, String(min), null, NaN], expected: `an integer from ${min} to ${MAX}`
})
const object: Taken = { takes: [{}], refuses: [null, [], 'text', 1], expected: 'an object' }
const flag: Taken = { takes: [true, false], refuses: ['true', 1, null], expected: 'true or false' }
const text: Taken = { takes: ['a'], refuses: ['', 1, null], expected: 'a non-empty string' }
const retention: Taken = {
  takes: [true, false, 0, {}, { age: 1 }, { age: 1, count: 2, limit: 3 }],
  refuses: ['1', 1.5, -1, null, { age: 'x' }, { count: 1.5 }, { limit: -1 }, { ages: 1 }],
  expected: 'true, false, a count, or { age in s, count }'
}

const engine: Record<string, Taken> = {
  attempts: numberFrom(1),
  backoff: {
    takes: [0, MAX, { type: 'fixed' }, { type: 'exponential', delay: 0 }, { type: 'fixed', delay: 1, jitter: 0 }, { type: 'fixed', jitter: 1 }],
    refuses: [-1, '1', null, {}, { delay: 1 }, { type: 'linear' }, { type: 'fixed', delay: -1 }, { type: 'fixed', jitter: 1.01 }, { type: 'fixed', jitter: -0.01 }, { type: 'fixed', jitter: '1' }],
    expected: "a number of ms or { type: 'fixed' or 'exponential', delay in ms, jitter from 0 to 1 }"
  },
  delay: numberFrom(0),
  keepLogs: numberFrom(0),
  lifo: flag,
  priority: { takes: [0, 2_097_151], refuses: [-1, 2_097_152, 1.5], expected: 'an integer from 0 to 2097151' },
  removeOnComplete: retention,
  removeOnFail: retention,
  sizeLimit: numberFrom(1),
  stackTraceLimit: numberFrom(1),
  telemetry: object,
  timestamp: { takes: [1, Date.now()], refuses: [0, 1.5, '1'], expected: 'ms since the epoch' }
}

const queue: Taken = { takes: ['q'], refuses: ['', 'a:b', 1, null], expected: "a non-empty string without ':'" }

const verbs: Array<[string, (options: any) => object, Record<string, Taken>]> = [
  ['addJob', checkJobOptions, { ...engine, expiresIn: numberFrom(1), name: text, transaction: { takes: [{ query () {} }], refuses: [{}, null, 1], expected: 'a client of pg in an open transaction, and jobs be stored in PostgreSQL' }, ttl: numberFrom(1) }],
  ['defineJob', (options) => checkDefinition('kind', handler, options), { ...engine, queue, expiresIn: numberFrom(1), onClose: { takes: ['cancel', 'wait'], refuses: ['', 'no', true], expected: "'cancel' or 'wait'" }, schema: object, timeout: numberFrom(1) }],
  ['the plugin', (options) => ({ ...options, ...checkPluginOptions({ connection: {}, ...options }) }), {
    connection: {
      takes: [
        {}, 'redis://h', 'rediss://h', 'postgres://h', 'postgresql://h', { options: '-c search_path=x' },
        { options: { maxRetriesPerRequest: null, keyPrefix: '' } }, { options: { redisOptions: { maxRetriesPerRequest: null } } }, { options: { max: 10 }, query () {} }
      ],
      refuses: [
        'http://h', 'redis:/h', 'redi://h', 'at redis://h', '', 1, null, Symbol('no'), [], { host: 'h', keyPrefix: 'x' }, { query () {} },
        { options: { maxRetriesPerRequest: 20 } }, { options: { maxRetriesPerRequest: null, keyPrefix: 'x' } }, { options: { redisOptions: { maxRetriesPerRequest: 20 } } }
      ],
      expected: 'an object without keyPrefix, a pool of pg, a client for Redis with maxRetriesPerRequest: null, or a redis:// or postgres:// URL'
    },
    queue,
    queues: {
      takes: [{}, { a: 1 }, { a: { concurrency: 1 }, b: { limiter: { max: 1, duration: 1 } }, c: {} }],
      refuses: [null, [], 1, 'a', { a: 0 }, { a: '1' }, { 'a:b': 1 }, { '': 1 }, { a: { concurrency: 0 } }, { a: { limiter: {} } }, { a: { other: 1 } }],
      expected: 'an object that has a concurrency, or { concurrency, limiter }, for each queue'
    },
    redisPrefix: text,
    worker: flag,
    concurrency: numberFrom(1),
    lockDuration: numberFrom(1),
    stalledInterval: numberFrom(1),
    maxStalledCount: numberFrom(0),
    limiter: { takes: [{ max: 1, duration: 1 }], refuses: [null, 'text', 1, {}, { max: 1 }, { duration: 1 }, { max: 'x', duration: 1 }, { max: 1, duration: 1, x: 1 }], expected: '{ max, duration in ms }' },
    telemetry: object,
    removeOnComplete: retention,
    removeOnFail: retention,
    cancelTimeout: numberFrom(0),
    closeTimeout: numberFrom(0)
  }]
]

for (const [verb, check, options] of verbs) {
  t.test(`each option of ${verb} is taken or refused for its value, and an unknown one for its name`, async (t) => {
    for (const [option, { takes, refuses, expected }] of Object.entries(options)) {
      for (const value of takes) t.match(check({ [option]: value }), { [option]: value })
      for (const value of refuses) {
        t.throws(() => check({ [option]: value }), { code: 'FST_ERR_JOB_INVALID_OPTION', message: `Option '${option}' must be ${expected}, got` })
      }
    }
    for (const unknown of verb === 'the plugin' ? [] : ['toString', 'jobId', '']) {
      t.throws(() => check({ [unknown]: 1 }), {
        code: 'FST_ERR_JOB_INVALID_OPTION', message: `Option '${unknown}' must be one of ${Object.keys(options).join(', ')}, got 1`
      })
    }
  })
}

t.test('options that are no object, and arguments that are none, are refused by name', async (t) => {
  for (const wrong of [null, 'text', 1, []]) {
    t.throws(() => options.checkWaitOptions(wrong as never), { code: 'FST_ERR_JOB_INVALID_ARGUMENT' })
    t.throws(() => checkJobOptions(wrong as never), { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: /'options' must be an object, got/ })
  }
  t.throws(() => checkDefinition('', handler), { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: "'kind' must be a non-empty string, got ''" })
  t.throws(() => checkDefinition('kind', 'no'), { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: "'handler' must be a function, got 'no'" })
  t.throws(() => checkText('name', 7), { code: 'FST_ERR_JOB_INVALID_ARGUMENT', message: "'name' must be a non-empty string, got 7" })
  t.throws(() => checkPluginOptions({} as never), {
    code: 'FST_ERR_JOB_INVALID_OPTION', message: /'connection' must be an object .* or postgres:\/\/ URL, got undefined$/
  })
})

t.test('a Redis Cluster needs a redisPrefix that keeps its keys on one node', async (t) => {
  const connection = { isCluster: true, duplicate: () => {} }
  for (const redisPrefix of [undefined, 'jobs', '{}']) {
    t.throws(() => checkPluginOptions({ connection, redisPrefix }), {
      code: 'FST_ERR_JOB_INVALID_OPTION', message: /'redisPrefix' must be of the form '\{name\}', for the connection is a Redis Cluster, got/
    })
  }
  t.match(checkPluginOptions({ connection, redisPrefix: '{jobs}' }), { redisPrefix: '{jobs}' })
})

t.test('options left out are none, and have the defaults that are documented', async (t) => {
  t.same(checkJobOptions(), {})
  t.same(checkDefinition('kind', handler), {})
  const connection = { port: 1 }
  t.same(checkPluginOptions({ connection, queue: undefined, logLevel: 'warn', logSerializers: {} }), {
    connection,
    queue: 'fastify-tasks',
    lockDuration: 30_000,
    stalledInterval: 6_000,
    maxStalledCount: 10,
    removeOnComplete: { age: 86_400, count: 1_000 },
    removeOnFail: { age: 86_400, count: 1_000 },
    cancelTimeout: 5_000,
    closeTimeout: 10_000,
    listed: ['default'],
    worked: new Map([['default', { concurrency: 10 }]])
  })
  t.equal(checkPluginOptions({ connection, lockDuration: 3_001 }).stalledInterval, 601)
})

t.test('what hosts give every plugin is named in a warning and ignored', async (t) => {
  t.notOk('skipOverride' in checkPluginOptions({ connection: {}, skipOverride: true, jobs: 1 }))
  t.match(warnings.splice(0), [[{ options: ['skipOverride', 'jobs'] }, 'Unknown options are ignored']])
  checkPluginOptions({ connection: {}, 'postgres://user:password@h': 1 })
  t.match(warnings.splice(0), [[{ options: ['postgres://[redacted]'] }]])
  // Fastify's own option of the same call is no prefix of keys.
  t.notOk('redisPrefix' in checkPluginOptions({ connection: {}, prefix: '/api' }))
  t.same(warnings, [])
})

t.test('a process works the queues that it lists, as each of them or the plugin says', async (t) => {
  const limiter = { max: 1, duration: 2 }
  const queues = { default: 3, media: { limiter }, mail: { concurrency: 5 }, more: {} }
  t.strictSame([...checkPluginOptions({ connection: {}, concurrency: 7, queues }).worked], [
    ['default', { concurrency: 3 }], ['media', { concurrency: 7, limiter }], ['mail', { concurrency: 5 }], ['more', { concurrency: 7 }]
  ])
  t.strictSame([...checkPluginOptions({ connection: {}, concurrency: 7, limiter }).worked], [['default', { concurrency: 7, limiter }]])
  const some = checkPluginOptions({ connection: {}, queues })
  t.same(['default', 'media', 'other'].map((queue) => concurrencyOf(some, queue)), [3, 10, 0])
  const onlyAdds = checkPluginOptions({ connection: {}, worker: false, queues })
  t.strictSame([onlyAdds.listed, onlyAdds.worked.size], [Object.keys(queues), 0])
})

t.test('options are copied, and those that are undefined are left out', async (t) => {
  const options = { name: 'a', ttl: undefined }
  t.strictSame(checkJobOptions(options), { name: 'a' })
  t.strictSame(options, { name: 'a', ttl: undefined })
})
