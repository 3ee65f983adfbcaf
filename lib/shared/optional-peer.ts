import { FST_ERR_JOB_MISSING_PACKAGE } from './errors'

/**
 * Loads an optional peer when it is needed.
 * @throws FST_ERR_JOB_MISSING_PACKAGE that says what to install
 */
export function load<T> (name: string): T {
  try {
    return require(name)
  } catch (cause) {
    throw new FST_ERR_JOB_MISSING_PACKAGE(name, name, { cause })
  }
}
