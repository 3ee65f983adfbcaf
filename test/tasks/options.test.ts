import { EventEmitter } from 'node:events'
import Fastify from 'fastify'
import t from 'tap'
import fastifyTasks from '../../index'
import { checkFilter, checkNarrowingFilter } from '../../lib/tasks/filter'
import * as options from '../../lib/tasks/options'
import { fakeLog } from '../fixtures/log'
import { appWithTasks } from '../fixtures/app'

const { checkName, checkProgress, checkTaskOptions } = options
const { log, warnings } = fakeLog()
const checkPluginOptions = (registered: object): ReturnType<typeof options.checkPluginOptions> => options.checkPluginOptions(log, registered)

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

t.test('the defaults of the plugin are 5 s, 10 s, 1,000 tasks and 1 s', async (t) => {
  t.same(checkPluginOptions({}), { cancelTimeout: 5_000, closeTimeout: 10_000, keepEnded: 1_000, peerTimeout: 1_000 })
})

t.test('an undefined option is omitted', async (t) => {
  t.equal(checkPluginOptions({ cancelTimeout: undefined }).cancelTimeout, 5_000)
  t.same(checkTaskOptions({ name: undefined, ttl: undefined }), { name: undefined, ttl: undefined })
})

t.test('0 is a valid value of each option of the plugin', async (t) => {
  const zero = { cancelTimeout: 0, closeTimeout: 0, keepEnded: 0 }
  t.match(checkPluginOptions(zero), zero)
})

t.test('the bounds of each option of the plugin are valid, and named in the error for values beyond', async (t) => {
  const largest = { cancelTimeout: 2 ** 31 - 1, closeTimeout: 2 ** 31 - 1, keepEnded: Number.MAX_SAFE_INTEGER }
  t.match(checkPluginOptions(largest), largest)
  for (const [option, max] of Object.entries(largest)) {
    t.throws(() => checkPluginOptions({ [option]: max + 1 }), { message: `Option '${option}' must be an integer from 0 to ${max}, got ${max + 1}` })
  }
})

t.test('the options of the caller are not changed', async (t) => {
  const options = Object.freeze({ keepEnded: 3 })
  t.equal(checkPluginOptions(options).keepEnded, 3)
  t.same(options, { keepEnded: 3 })
})

for (const [option, value, shown] of [
  ['cancelTimeout', '5', "'5'"], ['cancelTimeout', -1, '-1'], ['cancelTimeout', NaN, 'NaN'], ['cancelTimeout', 1.5, '1.5'],
  ['cancelTimeout', 2 ** 31, '2147483648'], ['closeTimeout', Infinity, 'Infinity'], ['closeTimeout', null, 'null'],
  ['keepEnded', -1, '-1'], ['keepEnded', 10n, '10n'], ['keepEnded', {}, '{}'], ['peerTimeout', 0, '0'],
  ['emitter', null, 'null'], ['emitter', 'redis', "'redis'"], ['emitter', {}, '{}'], ['emitter', new EventEmitter(), 'EventEmitter .*']
] as const) {
  t.test(`${option} ${shown} fails the registration with an error that names both`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(Promise.resolve(app.register(fastifyTasks, { [option]: value })), {
      code: 'FST_ERR_TASK_INVALID_OPTION', message: new RegExp(`'${option}' must be .*, got ${shown}$`)
    })
    t.notOk(app.hasDecorator('addTask'))
  })
}

const connection = { host: 'h', password: 'hunter2' }
const withoutSecret = { code: /^FST_ERR_TASK_INVALID_/, message: /^((?!hunter2).)+$/ }

for (const option of ['emitter', 'cancelTimeout', 'closeTimeout', 'keepEnded', 'peerTimeout']) {
  t.test(`a secret that was given as ${option} is not in the error`, async (t) => {
    for (const value of ['redis://u:hunter2@h', 'u:hunter2@h', 'host=h password=hunter2', connection, ['redis://u:hunter2@h'], new Map(Object.entries(connection))]) {
      t.throws(() => checkPluginOptions({ [option]: value }), withoutSecret)
    }
  })
}

t.test('a secret that was given as an option or an argument of a call is not in the error', async (t) => {
  const app = await appWithTasks(t)
  for (const call of [
    ...['name', 'ttl', 'timeout', 'signal', 'group', 'log', 'onClose', 'password'].map((option) => () => app.addTask(() => 1, { [option]: connection })),
    () => app.addTask(() => 1, { password: 'hunter2' } as object),
    () => app.addTask(connection as any),
    () => app.getTask(connection as any),
    () => app.getTasks({ group: connection as any }),
    () => app.defineTaskGroup(connection as any),
    () => app.defineTaskGroup('a', { concurrency: 'redis://u:hunter2@h' as any }),
    () => checkProgress('redis://u:hunter2@h')
  ]) {
    t.throws(call, withoutSecret)
  }
  await t.rejects(app.cancelTasks(connection as any), withoutSecret)
})

t.test('unknown options of the plugin are ignored, and logged by name at once', async (t) => {
  const { cancelTimeout, ...rest } = checkPluginOptions({ cancelTimeout: 1, skipOverride: true, toString: 1 })
  t.equal(cancelTimeout, 1)
  t.strictSame(rest, { closeTimeout: 10_000, keepEnded: 1_000, peerTimeout: 1_000 })
  t.strictSame(warnings.splice(0), [[{ plugin: 'fastify-tasks', options: ['skipOverride', 'toString'] }, 'Unknown options are ignored']])
})

t.test("Fastify's own options of register are accepted", async (t) => {
  const app = await appWithTasks(t, { prefix: '/x', logLevel: 'warn', logSerializers: {} } as object)
  t.ok(app.hasDecorator('addTask'))
})

const wrong: Array<[string, Record<string, unknown>, RegExp]> = [
  ['an empty name', { name: '' }, /'name' must be a non-empty string, got ''/],
  ['a name that is a number', { name: 1 }, /'name' must be a non-empty string, got 1/],
  ['a name that is null', { name: null }, /'name' .* got null/],
  ['a ttl of 0', { ttl: 0 }, /'ttl' must be an integer from 1 to 2147483647 \(ms\), got 0/],
  ['a ttl beyond what a timer can wait', { ttl: 2 ** 31 }, /'ttl' .* got 2147483648/],
  ['a fractional ttl', { ttl: 1.5 }, /'ttl' .* got 1\.5/],
  ['a ttl that is text', { ttl: '100' }, /'ttl' .* got '100'/],
  ['a signal that only looks like one', { signal: { aborted: false } }, /'signal' must be an AbortSignal/],
  ['an unknown onClose', { onClose: 'ignore' }, /'onClose' must be 'cancel' or 'wait', got 'ignore'/],
  ['an unknown option', { retries: 1 }, /'retries' must be one of name, group, ttl, timeout, signal, onClose, log, got 1/]
]

for (const [title, options, message] of wrong) {
  t.test(`${title} is refused and nothing is added`, async (t) => {
    const app = await appWithTasks(t)
    t.throws(() => app.addTask(() => t.fail('the function was called'), options), { code: 'FST_ERR_TASK_INVALID_OPTION', message })
    await app.ready()
    t.equal(app.tasks.size, 0)
  })
}

t.test('an error says what would have been right', async (t) => {
  const states = "'pending', 'running', 'cancelling', 'completed', 'failed', 'cancelled'"
  const methods = { addEventListener () {}, removeEventListener () {}, aborted: false }
  for (const [call, message] of [
    [() => checkPluginOptions({ emitter: 1 }), "Option 'emitter' must be an mqemitter, got 1"],
    [() => checkTaskOptions({ timeout: 0 }), "Option 'timeout' must be an integer from 1 to 2147483647 (ms), got 0"],
    [() => checkTaskOptions({ signal: 1 } as object), "Option 'signal' must be an AbortSignal, got 1"],
    [() => checkTaskOptions({ signal: Object.assign(() => {}, methods) } as object), /^Option 'signal' must be an AbortSignal, got \[Function/],
    [() => checkTaskOptions({ log: 1 } as object), "Option 'log' must be a logger, such as request.log, got 1"],
    [() => options.checkGroup(''), "Argument 'group' must be a non-empty string, got ''"],
    [() => options.checkGroupLimits(1 as any), "Argument 'limits' must be an object, got 1"],
    [() => checkFilter(1 as any), "Argument 'filter' must be an object, got 1"],
    [() => checkFilter({ state: 1 as any }), `Option 'state' must be one or a list of ${states}, got 1`],
    [() => checkNarrowingFilter({}), "Argument 'filter' must be one with a group, a state or a prefix ({ state: ['pending', 'running'] } for all), got {}"]
  ] as const) t.throws(call, { message })
})

t.test('a signal, a logger and an emitter are what has their methods', async (t) => {
  const method = (): void => {}
  for (const [whole, check] of [
    [{ addEventListener: method, removeEventListener: method, aborted: false }, (signal) => checkTaskOptions({ signal } as object)],
    [{ child: method, debug: method, error: method }, (log) => checkTaskOptions({ log } as object)],
    [{ on: method, emit: method, removeListener: method }, (emitter) => checkPluginOptions({ emitter })]
  ] as Array<[object, (value: object | null) => object]>) {
    t.ok(check(whole))
    for (const name of Object.keys(whole)) {
      t.throws(() => check({ ...whole, [name]: 1 }), { code: 'FST_ERR_TASK_INVALID_OPTION' }, name)
      t.throws(() => check(Object.defineProperty({ ...whole }, name, { get () { throw new Error('no') } })), name)
    }
    t.throws(() => check(null), { code: 'FST_ERR_TASK_INVALID_OPTION' })
  }
})

t.test('options that are not an object are refused', async (t) => {
  for (const options of [null, 'name', 1, true, []]) {
    t.throws(() => checkTaskOptions(options as {}), { code: 'FST_ERR_TASK_INVALID_ARGUMENT', message: /'options' must be an object/ })
  }
})

t.test('the bounds of a ttl are valid', async (t) => {
  t.same(checkTaskOptions({ ttl: 1 }), { ttl: 1 })
  t.same(checkTaskOptions({ ttl: 2 ** 31 - 1 }), { ttl: 2 ** 31 - 1 })
})

t.test('work that is neither a function nor a promise is refused and nothing is added', async (t) => {
  const app = await appWithTasks(t)
  for (const work of [undefined, null, 1, 'work', {}, { then: 1 }]) {
    t.throws(() => app.addTask(work as any), { code: 'FST_ERR_TASK_INVALID_ARGUMENT', message: /'work' must be a function or a promise/ })
  }
  t.equal(app.tasks.size, 0)
})

t.test('a name that is not a string is refused', async (t) => {
  t.throws(() => checkName(1), { code: 'FST_ERR_TASK_INVALID_ARGUMENT', message: "Argument 'name' must be a string, got 1" })
  const app = await appWithTasks(t)
  t.throws(() => app.getTask(undefined as any), { code: 'FST_ERR_TASK_INVALID_ARGUMENT' })
  await t.rejects(app.cancelTask(undefined as any), { code: 'FST_ERR_TASK_INVALID_ARGUMENT' })
})

t.test('progress is a number from 0 to 100 or a copy of a JSON object', async (t) => {
  t.equal(checkProgress(0), 0)
  t.equal(checkProgress(100), 100)
  const value = { done: 1, of: { total: 2 } }
  const copy = checkProgress(value)
  t.same(copy, value)
  t.not(copy, value)
  const deep = checkProgress({ a: { b: [{}] }, none: null, text: 'text' }) as { a: { b: [object] } }
  t.ok([deep, deep.a, deep.a.b, deep.a.b[0]].every(Object.isFrozen))
})

t.test('any other progress is refused', async (t) => {
  const hostile = { toJSON () { throw new Error('no') } }
  for (const value of [-1, 101, NaN, Infinity, '50', null, undefined, true, [], [1], cyclic, { big: 1n }, hostile, { toJSON: () => 1 }, { toJSON: () => null }, () => {}]) {
    t.throws(() => checkProgress(value), { code: 'FST_ERR_TASK_INVALID_ARGUMENT', message: /'progress' must be a number from 0 to 100 or a JSON object/ })
  }
})
