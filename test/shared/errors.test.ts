import t from 'tap'
import { errors } from '../../index'

const all = Object.entries(errors) as unknown as Array<[string, { new (...args: unknown[]): Error & { code: string, statusCode: number }, name: string }]>

// Those of the jobs may carry the code of a failure in another process.
for (const [code, Class] of all.filter(([code]) => code.startsWith('FST_ERR_TASK'))) {
  t.test(`${code} carries its code, a status and a message`, async (t) => {
    const error = new Class('a', 'b', 'c')
    t.ok(error instanceof Error)
    t.ok(error instanceof Class)
    t.equal(error.code, code)
    t.match(code, /^FST_ERR_(TASKS?)_[A-Z_]+$/)
    t.ok(error.statusCode >= 400 && error.statusCode < 600)
    t.ok(error.message.length > 10)
  })
}

t.test('each status is the one an HTTP client expects', async (t) => {
  t.equal(new errors.FST_ERR_TASK_NAME_IN_USE('a').statusCode, 409)
  t.equal(new errors.FST_ERR_TASK_NOT_FOUND('a').statusCode, 404)
  t.equal(new errors.FST_ERR_TASK_NOT_LIVE('a', 'failed').statusCode, 409)
  t.equal(new errors.FST_ERR_TASKS_CLOSED().statusCode, 503)
  t.equal(new errors.FST_ERR_TASK_CANCEL_TIMEOUT('a', 5).message, "Task 'a' is still running 5 ms after it was cancelled")
})

t.test('the error of a cancel is an AbortError with the reason as its cause', async (t) => {
  const cause = new Error('why')
  for (const Class of [errors.FST_ERR_TASK_CANCELLED, errors.FST_ERR_TASK_EXPIRED, errors.FST_ERR_JOB_CANCELLED]) {
    const error = new Class('a', { cause })
    t.equal(error.name, 'AbortError')
    t.equal(error.cause, cause)
  }
  for (const error of [new errors.FST_ERR_TASKS_CLOSED(), new errors.FST_ERR_TASK_CANCEL_REQUESTED(), new errors.FST_ERR_JOB_EXPIRED('a')]) t.equal(error.name, 'AbortError')
})

t.test('the processes that did not answer are listed', async (t) => {
  const error = new errors.FST_ERR_TASK_OUT_OF_REACH('a', 'p1', 'p2')
  t.equal(error.message, "Task 'a' was not found, but these processes did not answer: p1, p2")
  t.same(error.missing, ['p1', 'p2'])
})

t.test('a wrong value is a TypeError', async (t) => {
  t.ok(new errors.FST_ERR_TASK_INVALID_OPTION('a', 'b', 'c') instanceof TypeError)
  t.ok(new errors.FST_ERR_TASK_INVALID_ARGUMENT('a', 'b', 'c') instanceof TypeError)
})
