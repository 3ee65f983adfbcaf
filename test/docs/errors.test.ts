import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyError } from 'fastify'
import t from 'tap'
import { errors } from '../../index'
import { root, testDocument } from '../fixtures/readme/document'

t.jobs = 2

testDocument(t, 'docs/errors.md')

t.test('the table has exactly the errors of the code', async (t) => {
  const text = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const documented = [...text.matchAll(/^\| `(FST_ERR_\w+)` \| (\d+) \| .+ \|$/gm)].map(([, code, status]) => [code, Number(status)])
  const exported = Object.entries(errors).map(([name, TaskError]) => {
    const error = new (TaskError as new (...args: string[]) => FastifyError)('a', 'b', 'c')
    t.equal(error.code, name)
    return [error.code, error.statusCode]
  })
  t.same(documented.sort(), exported.sort())
})

t.test('the README names each error of the code, and no other', async (t) => {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  t.strictSame(Array.from(new Set(text.match(/FST_ERR_(TASK|JOB)\w+/g))).sort(), Object.keys(errors).sort())
})
