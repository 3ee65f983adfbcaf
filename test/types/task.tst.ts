import Fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, test } from 'tstyche'
import fastifyTasks, { errors } from '../../index'
import type { FastifyTasksOptions, Task, TaskFunction, TaskOptions, TaskSnapshot, TaskState } from '../../index'

const app = Fastify()

describe('addTask', () => {
  test('the result type is that of the function', () => {
    expect(app.addTask(() => 1)).type.toBe<Task<number>>()
    expect(app.addTask(async () => 'a')).type.toBe<Task<string>>()
    expect(app.addTask(() => {})).type.toBe<Task<void>>()
  })

  test('the result type is that of the promise', () => {
    expect(app.addTask(Promise.resolve({ a: 1 }))).type.toBe<Task<{ a: number }>>()
  })

  test('the function gets the instance and the task', () => {
    app.addTask(function (app, task) {
      expect(this).type.toBe<FastifyInstance>()
      expect(app).type.toBe<FastifyInstance>()
      expect(task).type.toBe<Task>()
      expect(task.signal).type.toBe<AbortSignal>()
    })
  })

  test('wrong options and wrong work are refused', () => {
    expect(app.addTask).type.not.toBeCallableWith(1)
    expect(app.addTask).type.not.toBeCallableWith(() => 1, { name: 1 })
    expect(app.addTask).type.not.toBeCallableWith(() => 1, { ttl: '1' })
    expect(app.addTask).type.not.toBeCallableWith(() => 1, { onClose: 'ignore' })
    expect(app.addTask).type.not.toBeCallableWith(() => 1, { timeout: '1' })
    expect(app.addTask).type.not.toBeCallableWith()
  })
})

test('the other verbs', () => {
  expect(app.getTask('a')).type.toBe<Task | undefined>()
  expect(app.getTask<number>('a')).type.toBe<Task<number> | undefined>()
  expect(app.cancelTask('a', 'why')).type.toBe<Promise<boolean>>()
  expect(app.purgeTasks()).type.toBe<number>()
  expect(app.getTask).type.not.toBeCallableWith(1)
})

test('a task tells its state and its outcome', async () => {
  const task = app.addTask(() => 1)
  expect(await task).type.toBe<number>()
  expect(task.result).type.toBe<number | undefined>()
  expect(task.error).type.toBe<unknown>()
  expect(task.state).type.toBe<TaskState>()
  expect(task.toJSON()).type.toBe<TaskSnapshot>()
  expect(task.cancel()).type.toBe<boolean>()
  expect(task[Symbol.asyncDispose]()).type.toBe<Promise<void>>()
})

test('the view is iterable and tells events', () => {
  for (const task of app.tasks) expect(task).type.toBe<Task>()
  app.tasks.on('end', (task) => { expect(task).type.toBe<Task>() })
  expect(app.tasks.size).type.toBe<number>()
})

test('options of the plugin', () => {
  expect<FastifyTasksOptions>().type.toBeAssignableFrom<{ cancelTimeout: 1, closeTimeout: 2, keepEnded: 3 }>()
  expect(app.register).type.toBeCallableWith(fastifyTasks, { keepEnded: 1 })
  expect<TaskOptions>().type.not.toBeAssignableFrom<{ name: number }>()
  expect<TaskFunction<number>>().type.toBeAssignableFrom<() => Promise<number>>()
})

test('errors are constructible with what they name', () => {
  expect(new errors.FST_ERR_TASK_NAME_IN_USE('a').code).type.toBe<'FST_ERR_TASK_NAME_IN_USE'>()
  expect(errors.FST_ERR_TASK_NOT_LIVE).type.toBeConstructableWith('a', 'failed')
  expect(errors.FST_ERR_TASK_NAME_IN_USE).type.not.toBeConstructableWith(1)
})
