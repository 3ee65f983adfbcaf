import t from 'tap'
import * as errors from '../../lib/shared/errors'
import { clip, redactError, redactOption, redactText, redactUrls } from '../../lib/shared/redaction'

t.test('connection strings, credentials before a host, and values named as secrets are redacted', async (t) => {
  for (const [text, expected] of [
    ['connect ECONNREFUSED 127.0.0.1:6379', 'connect ECONNREFUSED 127.0.0.1:6379'],
    ["got 'redis://:secret@h:1'", "got 'redis://[redacted]'"],
    ["got ' redis:/:my secret@h/'", "got ' redis://[redacted]'"],
    ["got 'secret@h'", 'got [redacted]'],
    ["{ password: 'my secret', port: 1 }", '{ password: [redacted], port: 1 }'],
    ["Map(1) { 'password' => 'my secret' }", "Map(1) { 'password' => [redacted] }"],
    ['host=h password=secret dbname=d', 'host=h password=[redacted] dbname=d'],
    [String.raw`{ password: 'it\'s "my" \`secret', port: 1 }`, '{ password: [redacted], port: 1 }'],
    ['{ password: `it\'s "my" secret`, port: 1 }', '{ password: [redacted], port: 1 }'],
    ["{ password: 'cut short in my sec…", '{ password: [redacted]'],
    ["got 'a:b'", "got 'a:b'"]
  ]) t.equal(redactText(text), expected)
  t.equal(redactOption('limiter', '5'), '5')
  t.equal(redactOption('dbPassword', "'x'"), '[redacted]')
  t.equal(redactOption('connection', "'my secret'"), '[redacted]')
  t.equal(redactOption('connection', "'http://h'"), "'http://[redacted]'")
  t.equal(redactOption('connection', '5'), '5')
  t.equal(redactOption('connection', "''"), "''")
})

t.test('an error of the store keeps the members that say where it comes from', async (t) => {
  const error = Object.assign(new TypeError('no redis://:secret@h\nsecond line of u:secret@h'), {
    code: 'E_X', port: 1, input: 'redis://:secret@h', command: { args: ['secret'] }, cause: Object.assign(new Error('at u:secret@h'), { errno: -1 })
  })
  const copy = redactError(error)
  t.match(copy, { name: 'TypeError', message: 'no redis://[redacted]', code: 'E_X', port: 1, cause: { message: 'at [redacted]', errno: -1 } })
  t.notOk('input' in copy || 'command' in copy)
  t.match(copy.stack, /^TypeError: no redis:\/\/\[redacted\]\n {4}at /)
  t.notMatch(JSON.stringify([copy.stack, copy.message, (copy.cause as Error).stack]), 'secret')
  t.equal((redactError(Object.assign(new Error('x'), { address: '//u:secret@h' })) as { address?: string }).address, '[redacted]')
  t.equal(redactError('a text').message, 'a text')
  t.equal(redactError(null).message, 'null')
  t.equal(redactError(Object.assign(new Error('x'), { stack: undefined })).stack, 'Error: x')
})

t.test('nothing but a secret is redacted, and of a URL with one all but its scheme', async (t) => {
  t.equal(redactUrls('at postgresql://h/db?user=x&password=Hidden, and http://h/a'), 'at postgresql://[redacted] and http://h/a')
  t.equal(redactOption('limiter', "'a text'"), "'a text'")
  t.equal(redactOption('connection', "{ host: 'a host' }"), "{ host: 'a host' }")
})

t.test('the copy of an error has its whole trace, and may be changed', async (t) => {
  const error = new TypeError('no')
  const copy = redactError(error)
  t.equal(copy.stack, error.stack)
  t.match(Object.getOwnPropertyDescriptor(copy, 'name'), { value: 'TypeError', configurable: true, writable: true })
})

t.test('text that a client may have sent is clipped', async (t) => {
  t.equal(clip('a'.repeat(200)), 'a'.repeat(200))
  t.equal(clip('a'.repeat(201)), `${'a'.repeat(200)}…`)
  t.equal(clip('a'.repeat(101), 100), `${'a'.repeat(100)}…`)
  t.equal(clip('\u{1f600}', 1), '\ufffd…')
})

t.test('the message of every error is clipped', async (t) => {
  const { FST_ERR_JOB_FAILED, ...all } = errors
  const long = 'a'.repeat(15_000)
  for (const [code, Coded] of Object.entries(all) as Array<[string, new (...args: unknown[]) => Error]>) {
    t.ok(new Coded(long, long, long).message.length < 2_000, code)
  }
  t.equal(new errors.FST_ERR_TASK_NOT_FOUND(long).message, `Task '${'a'.repeat(500)}…' was not found`)
  t.match(new errors.FST_ERR_TASK_CANCEL_TIMEOUT(long, 5), { message: /^Task 'a+…' is still running 5 ms after it was cancelled$/, tasks: [long] })
})

t.test('the time that a text takes is proportional to its length', async (t) => {
  for (const part of ['a', 'a.', 'x://', ':/', '@', 'pass', 'pass ', "pass:' ", 'x://pass']) {
    const text = part.repeat(400_000 / part.length)
    const startedAt = performance.now()
    redactUrls(text)
    redactText(text)
    t.ok(performance.now() - startedAt < 2_000, part)
  }
})

t.test('a name, a kind or an option that is a URL with credentials is not shown by any error, and other names are', async (t) => {
  const { FST_ERR_JOB_FAILED, ...all } = errors
  for (const url of ['postgres://user:Hidden@h/db', 'redis://:a/b#Hidden@h:1', `postgres://user:Hidden${'x'.repeat(100)}@h`, 'postgresql://h/db?user=x&password=Hidden']) {
    for (const [code, Coded] of Object.entries(all) as Array<[string, new (...args: unknown[]) => Error]>) {
      const error = new Coded(url, url, url)
      t.notMatch(`${error.message} ${error.stack}`, /Hidden/, code)
      t.ok(error instanceof Coded)
    }
    t.equal(new FST_ERR_JOB_FAILED(url).message, url, "but a handler's own message")
  }
  t.equal(new errors.FST_ERR_JOB_UNKNOWN_KIND('http://h/a?b=c').message, "Job kind 'http://h/a?b=c' is not defined")
})
