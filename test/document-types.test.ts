import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root, typeErrorsOf } from './fixtures/readme/document'

t.test('the blocks of README.md and docs type-check', async (t) => {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  t.ok(docs.length > 0)
  t.equal(typeErrorsOf(t, ['README.md', ...docs]), '')
})
