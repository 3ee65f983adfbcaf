import t from 'tap'
import { readList } from '../../lib/jobs/read-list'

t.test('a list is read, and what is none is an empty one', async (t) => {
  t.strictSame(readList('[1,null]'), [1, null])
  for (const text of [undefined, '', '{', '{}', 'null', '7', '"a"']) t.strictSame(readList(text), [], String(text))
})
