import type { Line } from './journal'

/** How long a process may take to end, and the fleet to do what it is asked once the store is whole again. In ms. */
const EXIT = 15_000
const RECOVERY = 15_000

/** What the journal has of a job. */
class History {
  constructor (readonly name: string, private readonly lines: Line[]) {}

  of (event: string): Line[] {
    return this.lines.filter((line) => line.event === event)
  }

  has (event: string): boolean {
    return this.lines.some((line) => line.event === event)
  }

  get told (): Line[] {
    return this.of('told')
  }
}

/** @returns what should not have happened, and how often the rest did */
export function check (lines: Line[]): { problems: string[], figures: Record<string, unknown> } {
  const byName = new Map<string, Line[]>()
  for (const line of lines) if (line.name !== undefined) byName.set(line.name, [...byName.get(line.name) ?? [], line])
  const histories = [...byName].map(([name, ofName]) => new History(name, ofName))
  const stalls = stallsOf(lines)
  const isPurged = lines.some(({ event, kind }) => event === 'fault' && kind === 'purge')
  const problems = [...histories.flatMap((history) => problemsOf(history, stalls, isPurged)), ...problemsOfFleet(lines)]
  return { problems, figures: { ...countJobs(histories), ...countFaults(lines) } }
}

function problemsOf (history: History, stalls: Stall[], isPurged: boolean): string[] {
  const problems: string[] = []
  const report = (problem: string): void => { problems.push(`${history.name}: ${problem}`) }
  const { told } = history
  const outcomes = told.filter(({ state }) => state !== 'gone')

  // One that was removed by a cancel that was told to have failed may be gone without a trace.
  if (history.has('added') && !history.has('end') && !history.has('cancelling') && outcomes.length === 0) report('was lost')
  if (history.has('unsettled')) report('was waited for in vain')
  if (history.has('live')) report('is stuck')
  if (history.has('get failed')) report(`could not be looked up: ${history.of('get failed')[0].code}`)
  if (history.has('added') && !isPurged && !told.some(({ via }) => via === 'get')) report('is not found by its name')
  for (const line of told) {
    const problem = liesIn(line, history, isPurged)
    if (problem !== undefined) report(`${problem}: ${JSON.stringify(line)}`)
  }
  const different = new Set(outcomes.map(({ state, run }) => `${state} ${run ?? ''}`))
  if (different.size > 1) report(`ended more than once: ${[...different].join(', ')}`)
  for (const client of new Set(told.map(({ pid }) => pid))) {
    const { length } = told.filter(({ pid, via }) => pid === client && via === 'event')
    // A cancel may remove a job that a worker has just noted as cancelled: then both are told.
    if (length > 1 + history.of('retrying').length + history.of('cancelling').length) report(`its end was told ${length} times to ${client}`)
  }
  const [first] = outcomes
  const late = history.of('start').find(({ at, pid }) => first !== undefined && at > first.at && !wasStalled(stalls, pid, at))
  if (late !== undefined && !history.has('retrying')) report(`was started after it had ended: ${JSON.stringify({ first, late })}`)
  if (history.has('retried') && !history.of('start').some(({ at }) => at > history.of('retrying')[0].at)) report('was retried and not started')
  return problems
}

/** Why what was told did not happen. */
function liesIn ({ at, state, run, code }: Line, history: History, isPurged: boolean): string | undefined {
  if (state === 'completed') return history.of('end').some((end) => end.run === run && end.at < at) ? undefined : 'never returned that'
  if (state === 'cancelled') return history.of('cancelling').some((cancelling) => cancelling.at < at) ? undefined : 'nobody has cancelled it'
  if (state === 'failed') return code === 'PLANNED' && history.of('fail').some((fail) => fail.at < at) ? undefined : 'it has not failed'
  if (state === 'gone') return isPurged || history.has('cancelling') ? undefined : 'nobody has removed it'
  return 'has not ended'
}

interface Stall { member: number, from: number, to: number }

function stallsOf (lines: Line[]): Stall[] {
  return lines.filter(({ event }) => event === 'stalled').map(({ at, member }) => (
    { member, from: at, to: lines.find((line) => line.event === 'goes on' && line.member === member && line.at > at)?.at ?? Infinity }
  ))
}

/** A process that was held up starts what it was given before, though another may have done it meanwhile. */
function wasStalled (stalls: Stall[], pid: number, at: number): boolean {
  return stalls.some(({ member, from, to }) => member === pid && from < at && at < to + 2_000)
}

function problemsOfFleet (lines: Line[]): string[] {
  const of = (event: string): Line[] => lines.filter((line) => line.event === event)
  const healed = of('healed').at(-1)?.at ?? 0
  return [
    ...['uncaughtException', 'unhandledRejection', 'warning'].flatMap((event) => of(event).map(({ error }) => `${event}: ${error}`)),
    ...of('left').filter(({ code, after }) => code !== 0 || after > EXIT).map((line) => `a process did not end by itself in time: ${JSON.stringify(line)}`),
    ...of('stays').map(({ member }) => `process ${member} stays`),
    ...recoveries(lines).filter(({ after }) => after > RECOVERY).map(({ kind, after }) => `after "${kind}" the fleet needed ${after} ms`),
    ...of('tick').some(({ at }) => at > healed) ? [] : ['the schedule has stopped']
  ]
}

/** After each fault of the store, how long until a job was added, and one that was started since had ended. */
function recoveries (lines: Line[]): Array<{ kind: string, after: number }> {
  const beginnings = new Map<string, number>()
  const steps: Array<{ event: string, at: number, since: number }> = []
  for (const { event, at, name, run } of lines) {
    if (event === 'adding' || event === 'start') beginnings.set(run ?? name, at)
    if (event === 'added' || event === 'end') steps.push({ event, at, since: beginnings.get(run ?? name)! })
  }
  const first = (event: string, from: number): number => steps.find((step) => step.event === event && step.since > from)?.at ?? Infinity
  return lines.filter(({ event, of }) => event === 'healed' && of === 'store').map(({ kind, at }) => (
    { kind, after: Math.round(Math.max(first('added', at), first('end', at)) - at) }
  ))
}

function countJobs (histories: History[]): Record<string, number> {
  const added = histories.filter((history) => history.has('added'))
  const endedAs = (state: string): number => added.filter(({ told }) => told.some((line) => line.state === state)).length
  return {
    added: added.length,
    refused: histories.filter((history) => history.has('refused')).length,
    'refused, yet stored': histories.filter((history) => history.has('refused') && (history.has('start') || history.told.length > 0)).length,
    completed: endedAs('completed'),
    failed: endedAs('failed'),
    cancelled: endedAs('cancelled'),
    'gone without a trace': endedAs('gone'),
    retried: added.filter((history) => history.has('retried')).length,
    'run more than once, and not for a failure': added.filter((history) => history.of('start').length > history.of('fail').length + 1).length
  }
}

function countFaults (lines: Line[]): Record<string, unknown> {
  const faults: Record<string, number> = {}
  for (const { event, kind } of lines) if (event === 'fault') faults[kind] = (faults[kind] ?? 0) + 1
  const worst = recoveries(lines).sort((a, b) => b.after - a.after)[0]
  return {
    faults,
    processes: lines.filter(({ event }) => event === 'joined').length,
    'longest recovery, ms': worst && `${worst.after} (${worst.kind})`,
    'slowest end of a process, ms': Math.max(...lines.filter(({ event }) => event === 'left').map(({ after }) => after))
  }
}
