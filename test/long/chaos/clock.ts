const RealDate = Date
let leap = 0

globalThis.Date = class extends RealDate {
  constructor (...args: any[]) {
    if (args.length === 0) super(RealDate.now() + leap)
    else super(...args as [number])
  }

  static override now (): number {
    return RealDate.now() + leap
  }
} as DateConstructor

/** Sets the clock of this process so many ms forward, or back. */
export function leapBy (ms: number): void {
  leap = ms
}
