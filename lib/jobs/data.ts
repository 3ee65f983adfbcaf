import { FST_ERR_JOB_INVALID_DATA, FST_ERR_JOB_INVALID_TEXT } from '../shared/errors'
import { formatValue } from '../shared/option-checks'
import { storableJson } from './serialization'

/**
 * The data as another process will see it. Left out, it is `null`.
 * @throws FST_ERR_JOB_INVALID_DATA when JSON would change or lose it
 */
export function copyData (kind: string, data: unknown): unknown {
  try {
    const json = JSON.stringify(data, refuse)
    return json === undefined ? null : JSON.parse(json)
  } catch (error) {
    throw new FST_ERR_JOB_INVALID_DATA(kind, `is not JSON: ${(error as Error).message}`)
  }
}

/**
 * Counts the data alone: BullMQ would count what is stored around it, too.
 * @throws FST_ERR_JOB_INVALID_DATA when the data has more bytes than it may
 */
export function checkSize (kind: string, data: unknown, sizeLimit?: number): void {
  if (sizeLimit === undefined) return
  const size = Buffer.byteLength(JSON.stringify(data))
  if (size > sizeLimit) throw new FST_ERR_JOB_INVALID_DATA(kind, `has ${size} bytes, more than its sizeLimit of ${sizeLimit}`)
}

function refuse (key: string, value: unknown): unknown {
  // A member that is undefined is left out, as everywhere; what JSON would silently turn into something else is refused.
  if (typeof value === 'function' || typeof value === 'symbol' || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new TypeError(`${key === '' ? 'it' : formatValue(key)} is ${formatValue(value)}`)
  }
  return value
}

/** @throws FST_ERR_JOB_INVALID_TEXT when there is a text that PostgreSQL cannot hold */
export function checkTexts (value: object): void {
  const json = JSON.stringify(value)
  if (storableJson(json) !== json) throw new FST_ERR_JOB_INVALID_TEXT('data with U+0000 or half of a surrogate pair')
}
