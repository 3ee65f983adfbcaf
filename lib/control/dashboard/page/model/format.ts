const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A length of time in two units at most: `850 ms`, `12 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`. */
export function duration (ms: number): string {
  const time = Math.max(0, Math.round(ms))
  if (time < SECOND) return `${time} ms`
  if (time < 10 * SECOND) return `${(Math.floor(time / 100) / 10).toFixed(1)} s`
  if (time < MINUTE) return `${Math.floor(time / SECOND)} s`
  if (time < HOUR) return pair(time, MINUTE, 'm', SECOND, 's')
  if (time < DAY) return pair(time, HOUR, 'h', MINUTE, 'm')
  return pair(time, DAY, 'd', HOUR, 'h')
}

/** A length of time that grows before the reader's eyes: in whole seconds. */
export function elapsed (ms: number): string {
  return ms < SECOND ? '< 1 s' : duration(ms < 10 * SECOND ? Math.floor(ms / SECOND) * SECOND : ms).replace('.0', '')
}

function pair (time: number, unit: number, name: string, part: number, partName: string): string {
  const whole = Math.floor(time / unit)
  const rest = Math.floor((time % unit) / part)
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${partName}`
}

/** `12 s ago`, `in 3 m`. */
export function relative (time: number, now: number): string {
  const ms = now - time
  if (ms < -SECOND) return `in ${elapsed(-ms)}`
  return ms < SECOND ? 'just now' : `${elapsed(ms)} ago`
}

export function count (value: number): string {
  return value.toLocaleString('en')
}

export function plural (value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

export function bytes (value: number): string {
  if (value < 1024) return `${value} B`
  const mega = value / 2 ** 20
  return mega < 1 ? `${Math.round(value / 1024)} KiB` : mega < 1024 ? `${mega.toFixed(mega < 10 ? 1 : 0)} MiB` : `${(mega / 1024).toFixed(1)} GiB`
}

/** An object in one line: `rows 1200 · of 10800`. */
export function brief (value: Record<string, unknown>): string {
  return Object.entries(value).map(([key, part]) => `${key} ${typeof part === 'string' ? part : JSON.stringify(part)}`).join(' · ')
}

/** Never `0 %` of some, nor `100 %` of almost all. */
export function percent (part: number, whole: number): string {
  if (whole === 0) return '–'
  const value = part / whole * 100
  if (value > 0 && value < 1) return '< 1 %'
  if (value < 100 && value > 99) return '> 99 %'
  return `${Math.round(value)} %`
}
