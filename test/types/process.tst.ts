import Fastify from 'fastify'
import mqemitter from 'mqemitter'
import mqemitterRedis from 'mqemitter-redis'
import { describe, expect, test } from 'tstyche'
import fastifyTasks, { type Emitter, type FastifyTasksOptions } from '../../index'

describe('emitter', () => {
  test('is an mqemitter, on Redis too', () => {
    expect(fastifyTasks).type.toBeCallableWith(Fastify(), { emitter: mqemitter() })
    expect<Emitter>().type.toBeAssignableFrom(mqemitter())
    expect<Emitter>().type.toBeAssignableFrom(mqemitterRedis())
  })

  test('may be an object of its kind', () => {
    expect<FastifyTasksOptions>().type.toBeAssignableFrom({
      emitter: {
        on: (topic: string, listener: (message: { payload: string }, done: () => void) => void) => { listener({ payload: topic }, () => {}) },
        removeListener: () => {},
        emit: (_message: { topic: string, payload: string }, done?: (error?: Error) => void) => { done?.() }
      },
      peerTimeout: 500
    })
  })

  test('is nothing else', () => {
    expect<FastifyTasksOptions>().type.not.toBeAssignableFrom({ emitter: 'redis' })
    expect<FastifyTasksOptions>().type.not.toBeAssignableFrom({ emitter: { on: () => {} } })
    expect<FastifyTasksOptions>().type.not.toBeAssignableFrom({ peerTimeout: '1s' })
  })
})
