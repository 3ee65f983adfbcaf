// What must be right before the package in the current folder is published. Prints every fault, and exits with 1 if there is one.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const { version, repository, homepage, bugs } = JSON.parse(readFileSync('package.json', 'utf8'))
const faults = []

/** An address that is set by npm's own rules, and not the one of an example. */
function checkAddress (field, value) {
  const address = typeof value === 'object' ? value?.url : value
  if (typeof address !== 'string' || !/^(git\+)?https:\/\/[^/]+\/\S+$/.test(address)) {
    faults.push(`package.json: ${field} must be an https address; npm resolves the links of the README with it`)
  } else if (/\/OWNER\/|example\.(com|org)/.test(address)) {
    faults.push(`package.json: ${field} is that of an example: ${address}`)
  }
}

checkAddress('repository', repository)
checkAddress('homepage', homepage)
checkAddress('bugs', bugs)

const heading = readFileSync('CHANGELOG.md', 'utf8').match(/^## .*/m)?.[0] ?? ''
if (!new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`).test(heading)) {
  faults.push(`CHANGELOG.md: the first section must be "## [${version}] - <date>", and is "${heading}"`)
}

const changed = execFileSync('git', ['status', '--porcelain'], { encoding: 'utf8' })
if (changed !== '') faults.push(`These files are not committed:\n${changed.trimEnd()}`)

for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exitCode = 1
else console.log(`Version ${version} can be published`)
