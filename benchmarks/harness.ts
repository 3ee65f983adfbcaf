import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Does the work once and says what it cost, in the unit of its figure. */
export type Round = () => number | Promise<number>

/** Prepares one way of doing the work. Runs in a process of its own. */
export type Variant = () => Round | Promise<Round>

/** What each variant measured in one and the same round. */
export type Measured = Record<string, number>

/** One line of the table: what comes of the variants of a figure, and what it is to be. */
export interface Line {
  what: string
  against: string
  value: (round: Measured) => number
  /** Left out, the value is a ratio. */
  unit?: string
  atMost?: number
  atLeast?: number
}

/** What is measured together: the same work done in several ways. */
export interface Figure {
  title: string
  /** Of what the variants measure. */
  unit: string
  variants: Record<string, Variant>
  /** The variant that is measured twice: how far it is from itself is the machine's noise. */
  floor: string
  lines: Line[]
  /** How many times each variant gets a fresh process. Default 3. */
  processes?: number
  /** Rounds that count, of each process. Default 7. */
  rounds?: number
  /** Rounds of each process that come before and do not count. Default 2. */
  warmups?: number
  /** Starts what all the variants use (a server to talk to) and returns what stops it. May set `process.env` for the variants. */
  before?: () => Promise<() => unknown>
}

/** A line as measured. */
export interface Verdict {
  line: Line
  value: number
  /** By how much the value may be wrong, from this run alone. */
  noise: number
  missed: boolean
}

export interface Report {
  /** The median of each variant, in the figure's unit. */
  medians: Measured
  verdicts: Verdict[]
}

// --- in the process of a variant ---

/** CPU time in ns, all threads and so the garbage collector's too: a busy machine disturbs it less than a clock. */
export async function cpuTime (work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) * 1000
}

/** Time passed in ns, where there is something to wait for. */
export async function wallTime (work: () => unknown): Promise<number> {
  const before = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - before)
}

/** Bytes of live objects, garbage left out. */
export function heapUsed (): number {
  for (let i = 0; i < 3; i++) global.gc!()
  return process.memoryUsage().heapUsed
}

// --- in the process that compares ---

/** Value of the one variant over that of the other. */
export function ratio (of: string, against: string): (round: Measured) => number {
  return (round) => round[of] / round[against]
}

const AGAIN = ' (again)'

/** Runs the variants of a figure in turn, round by round, so that what disturbs the machine disturbs them alike. */
export async function measure (file: string, figure: Figure): Promise<Report> {
  const { processes = 3, rounds = 7, warmups = 2 } = figure
  const measured: Measured[] = []
  const stop = await figure.before?.()
  try {
    for (let i = 0; i < processes; i++) {
      const children = await startVariants(file, figure)
      for (let round = -warmups; round < rounds; round++) {
        const values = await playRound(children)
        if (round >= 0) measured.push(values)
      }
      await Promise.all([...children.values()].map(leave))
    }
  } finally {
    await stop?.()
  }
  return judge(figure, measured)
}

async function startVariants (file: string, figure: Figure): Promise<Map<string, ChildProcess>> {
  const children = new Map<string, ChildProcess>()
  for (const name of [...Object.keys(figure.variants), figure.floor + AGAIN]) {
    const args = [file, figure.title, name.replace(AGAIN, '')]
    const child = fork(join(__dirname, 'child.js'), args, { execArgv: ['--expose-gc'] })
    children.set(name, child)
    await answer(child)
  }
  return children
}

async function playRound (children: Map<string, ChildProcess>): Promise<Measured> {
  const values: Measured = {}
  for (const [name, child] of children) {
    child.send('round')
    values[name] = await answer(child)
  }
  return values
}

async function leave (child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.disconnect()
  await gone
}

async function answer (child: ChildProcess): Promise<number> {
  const gone = new AbortController()
  const left = (code: number | null): void => gone.abort(new Error(`${child.spawnargs.slice(-2).join(': ')} left with code ${code}`))
  child.once('exit', left)
  try {
    const [value] = await once(child, 'message', { signal: gone.signal })
    return value as number
  } catch (error) {
    throw gone.signal.reason ?? error
  } finally {
    child.off('exit', left)
  }
}

function judge (figure: Figure, measured: Measured[]): Report {
  const medians: Measured = {}
  for (const name of Object.keys(figure.variants)) medians[name] = median(measured.map((round) => round[name]))
  const twin = Math.abs(median(measured.map(ratio(figure.floor + AGAIN, figure.floor))) - 1)
  const verdicts = figure.lines.map((line): Verdict => {
    const values = measured.map(line.value)
    const value = median(values)
    const noise = Math.max(uncertainty(values), twin * Math.abs(value))
    const missed = value - noise > (line.atMost ?? Infinity) || value + noise < (line.atLeast ?? -Infinity)
    return { line, value, noise, missed }
  })
  return { medians, verdicts }
}

function quantile (values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * q
  const low = Math.floor(at)
  return sorted[low] + (sorted[Math.ceil(at)] - sorted[low]) * (at - low)
}

function median (values: number[]): number {
  return quantile(values, 0.5)
}

/** Half the width of a box plot's notch: about a 95 % interval of the median. */
function uncertainty (values: number[]): number {
  return 1.57 * (quantile(values, 0.75) - quantile(values, 0.25)) / Math.sqrt(values.length)
}
