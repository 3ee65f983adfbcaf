import { appendFileSync, readFileSync } from 'node:fs'

/** A line of the journal. */
export interface Line {
  /** Monotonic, in ms, the same for all processes of the machine whatever their clocks say. */
  at: number
  pid: number
  event: string
  /** Of the job. */
  name?: string
  [detail: string]: any
}

/** What the fleet does and is told, written before the next step is taken: a process that is killed leaves all that it did. */
export class Journal {
  constructor (readonly file: string) {}

  write (event: string, details: object = {}): void {
    const at = Number(process.hrtime.bigint() / 1_000n) / 1_000
    appendFileSync(this.file, `${JSON.stringify({ at, pid: process.pid, event, ...details })}\n`)
  }

  read (): Line[] {
    const lines: Line[] = readFileSync(this.file, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
    return lines.sort((a, b) => a.at - b.at)
  }
}
