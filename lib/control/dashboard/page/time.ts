const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

const isDate = (time: number): boolean => Math.abs(time) <= 8.64e15

export const clock = (time: number): string => isDate(time) ? CLOCK.format(time) : String(time)

export const moment = (time: number): string => isDate(time) ? MOMENT.format(time) : String(time)

export const iso = (time: number): string | undefined => isDate(time) ? new Date(time).toISOString() : undefined
