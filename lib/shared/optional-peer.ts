import { FST_ERR_JOB_MISSING_PACKAGE } from './errors'

/**
 * Loads an optional peer of the jobs when it is needed.
 * @throws FST_ERR_JOB_MISSING_PACKAGE that says what to install
 */
export function load<T> (name: 'bullmq' | 'ioredis' | 'pg'): T {
  // Literal names inside a `try`: bundlers find only those, and treat them as optional.
  try {
    if (name === 'bullmq') return require('bullmq')
    return name === 'ioredis' ? require('ioredis') : require('pg')
  } catch (cause) {
    throw new FST_ERR_JOB_MISSING_PACKAGE(name, name, { cause })
  }
}
