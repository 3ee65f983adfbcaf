import type { FastifyInstance } from 'fastify'
import { expect, test } from 'tstyche'
import type fastifyJobs from 'fastify-tasks/jobs'
import type { Job } from 'fastify-tasks/jobs'

declare module 'fastify-tasks/jobs' {
  interface JobKinds {
    typed: { data: { id: number }, result: string }
  }
}

declare const app: FastifyInstance

test('a declared kind knows its data and result', async () => {
  expect(app.addJob('typed', { id: 1 })).type.toBe<Promise<Job<string>>>()
  expect(app.addJob).type.not.toBeCallableWith('typed', { id: 'one' })
  expect((await app.addJob('typed', { id: 1 })).wait()).type.toBe<Promise<string>>()
  app.defineJob('typed', async (_app, _task, data, job) => {
    expect(data).type.toBe<{ id: number }>()
    expect(job.attempts).type.toBe<number>()
    return 'result'
  })
  expect(app.defineJob).type.not.toBeCallableWith('typed', async () => 5)
})

test('any other kind takes any data', () => {
  expect(app.addJob('other', { some: 'data' })).type.toBe<Promise<Job<any>>>()
  app.defineJob('other', async (_app, _task, data: { id: number }) => data.id)
})

test('a job is not thenable', () => {
  expect<Job>().type.not.toBeAssignableTo<PromiseLike<unknown>>()
})

test('the plugin takes an engine\'s connection', () => {
  expect({ connection: { host: '127.0.0.1', port: 6379 } }).type.toBeAssignableTo<fastifyJobs.FastifyJobsOptions>()
  expect({ connection: 'postgres://localhost/jobs' }).type.toBeAssignableTo<fastifyJobs.FastifyJobsOptions>()
  expect({}).type.not.toBeAssignableTo<fastifyJobs.FastifyJobsOptions>()
})
