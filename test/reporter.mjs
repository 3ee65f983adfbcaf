import { Transform } from 'node:stream'

const SKIPPED = /^\s*ok \d+ - (.* # SKIP.*)$/
const PASSED = /^\s*(ok \d|# Subtest|1\.\.\d|# time=|$)/

/** One line for each test file, all that failed in it or was skipped, and the totals of tap. */
export default class Reporter extends Transform {
  #rest = ''
  #details = []

  _transform (chunk, _encoding, done) {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) this.#read(line)
    done()
  }

  _flush (done) {
    this.#read(this.#rest)
    done()
  }

  #read (line) {
    if (line.startsWith(' ')) {
      const [, skipped] = SKIPPED.exec(line) ?? []
      if (skipped !== undefined) this.push(`!!! NOT TESTED: ${skipped}\n`)
      else if (!PASSED.test(line)) this.#details.push(line)
    } else if (line.startsWith('ok ')) {
      this.#details = []
      this.push(`${line.replace(/^ok \d+ - /, 'ok ').replace(/ \{$/, '')}\n`)
    } else if (line.startsWith('not ok ')) {
      // A file's own block of details comes before its line when it ran alone, after it when it was buffered.
      this.push(`${this.#details.join('\n')}\n${line}\n`)
      this.#details = []
    } else if (line === '}' || line.startsWith('# {') || line.startsWith('Bail out!')) {
      this.push([...this.#details, line === '}' ? '' : line].filter((text) => text !== '').map((text) => `${text}\n`).join(''))
      this.#details = []
    }
  }
}
