import { on, once } from 'node:events'
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
    expect(app.addTask).type.not.toBeCallableWith(() => 1, { group: 1 })
    expect(app.addTask).type.not.toBeCallableWith(() => 1, { log: console })
    expect(app.addTask).type.not.toBeCallableWith()
  })

  test('every option', () => {
    const { signal } = new AbortController()
    expect(app.addTask).type.toBeCallableWith(() => 1, { name: 'a', group: 'g', ttl: 1, timeout: 1, signal, onClose: 'wait', log: app.log })
  })

  test('a request adds tasks as its app does', () => {
    app.get('/', async (request) => {
      expect(request.addTask).type.toBe<FastifyInstance['addTask']>()
      expect(request.addTask(() => 1, { log: request.log })).type.toBe<Task<number>>()
    })
  })
})

describe('groups and filters', () => {
  test('a group takes limits', () => {
    expect(app.defineTaskGroup('g', { concurrency: 1, maxPending: 1 })).type.toBe<void>()
    expect(app.defineTaskGroup).type.toBeCallableWith('g')
    expect(app.defineTaskGroup).type.not.toBeCallableWith('g', { concurrency: '1' })
    expect(app.defineTaskGroup).type.not.toBeCallableWith('g', { limit: 1 })
    expect(app.addTask(() => 1).group).type.toBe<string | undefined>()
  })

  test('tasks are found and cancelled by group, state and prefix', () => {
    expect(app.getTasks()).type.toBe<Task[]>()
    expect(app.getTasks({ group: 'g', state: 'running', prefix: 'a' })).type.toBe<Task[]>()
    expect(app.cancelTasks({ state: ['pending', 'running'] as const }, 'why')).type.toBe<Promise<number>>()
    expect(app.cancelTasks).type.not.toBeCallableWith()
    expect(app.getTasks).type.not.toBeCallableWith({ state: 'live' })
    expect(app.getTasks).type.not.toBeCallableWith({ name: 'a' })
  })

  test('the view counts what is live, and tells when nothing is', () => {
    expect(app.tasks.live).type.toBe<number>()
    expect(app.tasks.onIdle()).type.toBe<Promise<void>>()
    expect(app.tasks.onIdle).type.toBeCallableWith('g')
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
  expect(once).type.toBeCallableWith(app.tasks, 'end')
  expect(on).type.toBeCallableWith(app.tasks, 'progress')
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
