import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Installs a version of Node.js into a folder of its own: the binary comes as a plain file in a package named after the platform.
 * @returns its exact version, and the path of the binary
 */
export function installNode (version, folder) {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${version}`], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  const installed = join(folder, 'node_modules', name)
  return { version: JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')).version, path: join(installed, 'bin', 'node') }
}
