// Bundles the page into `assets.ts`, a module of strings: so that an app bundled into one file has the page in it. The module is kept
// in git, so that the sources run without a build; a test holds it against what this script makes.
//
//   npm run build:page
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { minify } from 'terser'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const BUNDLED = ['preact', '@tanstack/virtual-core', 'uplot']

/** The licences of what the page bundles: a file of the package, and a comment in the script, which is a copy of its own. */
function licences () {
  const packagesOf = new Map()
  for (const name of BUNDLED) {
    const path = require.resolve.paths(name).map((folder) => join(folder, name)).find((folder) => readable(join(folder, 'LICENSE')))
    const { version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
    const [, title, copyright, terms] = readFileSync(join(path, 'LICENSE'), 'utf8').match(/^(?:The )?(.*?)(?: \(MIT\))?\n+(Copyright .*)\n+([^]*)/)
    // The terms of several are the same, but for their line breaks.
    const text = `${title}\n\n${terms.trim().split(/\n{2,}/).map((paragraph) => paragraph.replace(/\s+/g, ' ')).join('\n\n')}\n`
    packagesOf.set(text, [...packagesOf.get(text) ?? [], `${name} ${version}, ${copyright}`])
  }
  return Array.from(packagesOf, ([text, packages]) => `${packages.join('\n')}\n\n${text}`).join('\n---\n\n')
}

function readable (path) {
  try {
    return readFileSync(path) !== undefined
  } catch {
    return false
  }
}

/** uPlot hands `navigator.language` to Intl, which throws where that is no language tag (`en-US@posix`): the page would stay blank. */
const browsersOwnLocale = {
  name: 'browsers-own-locale',
  setup ({ onLoad }) {
    onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      const contents = source.replace("domEnv ? nav.language : 'en-US'", 'undefined')
      if (contents === source) throw new Error('uPlot no longer reads navigator.language: remove this step')
      return { contents }
    })
  }
}

/** In single quotes: minified code has thousands of double ones, and hardly one of these. */
function literal (text) {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}

/** @returns the text of each generated file by its path */
export async function generate () {
  const notice = `The dashboard of fastify-tasks bundles the following packages.\n\n${licences()}`
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: { script: 'page/main.tsx', style: 'page/style.css' },
    outdir: 'out',
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: ['chrome111', 'firefox119', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfig: join(here, 'page/tsconfig.json'),
    legalComments: 'none',
    plugins: [browsersOwnLocale],
    banner: { js: `/*!\n${notice}*/` },
    charset: 'ascii'
  })
  const output = (name) => outputFiles.find(({ path }) => path.endsWith(name)).text
  // 2.4 kB of the tarball less than esbuild alone. No getter of the page or of what it bundles changes anything.
  const compress = { passes: 3, drop_console: true, pure_getters: true, keep_fargs: false }
  const { code } = await minify(output('script.js'), { ecma: 2020, compress, format: { ascii_only: true } })
  const html = readFileSync(join(here, 'page/page.html'), 'utf8')
  return {
    [join(here, 'assets.ts')]: '// Made by build.mjs of what is in page/. Do not edit.\n' +
      `export const html = ${literal(html)}\n` +
      `export const script = ${literal(code)}\n` +
      `export const style = ${literal(output('style.css'))}\n`,
    [join(here, '../../../THIRD-PARTY-LICENSES')]: notice
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(await generate())) writeFileSync(path, text)
}
