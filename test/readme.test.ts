// The mechanism is described in test/fixtures/readme/document.ts; the other documents are tested by test/docs/*.test.ts.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PLACE, markersOf, root, testDocument } from './fixtures/readme/document'

t.jobs = 2

testDocument(t, 'README.md')

const documents = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md')).map((file) => file.slice(0, -'.md'.length))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

t.test('the README has at most 330 lines', async (t) => {
  t.ok(read('README.md').split('\n').length <= 331)
})

t.test('every document has a test', async (t) => {
  t.same(documents.sort(), readdirSync(join(root, 'test/docs')).map((file) => file.slice(0, -'.test.ts'.length)).sort())
})

t.test('every document can be reached from the README', async (t) => {
  for (const document of documents) t.match(read('README.md'), `](docs/${document}.md`)
})

t.test('every file of hidden code belongs to a block', async (t) => {
  const named = new Set(['README.md', ...documents.map((document) => `docs/${document}.md`)].flatMap((path) => markersOf(read(path))))
  const files = readdirSync(join(root, 'test/readme'))
  t.same(files.filter((file) => !named.has(file.slice(0, -'.mts'.length))), [])
  for (const file of files) t.match(read(`test/readme/${file}`), PLACE, file)
})
