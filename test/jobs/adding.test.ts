import t from 'tap'
import { MemoryQueue } from '../fixtures/memory-engine'
import { registryOn } from '../fixtures/registry'

/** A registry whose store refuses the first jobs that are added together, for somebody holds a name: by the time it is asked, these. */
function refusing (held: string[], error: object = { code: '55P03' }) {
  const queue = new MemoryQueue().withPool(async () => ({ rows: held.map((key) => ({ key })) }))
  const { addBulk } = queue
  queue.addBulk = async () => {
    queue.addBulk = addBulk
    throw Object.assign(new Error('refused'), error)
  }
  const { registry } = registryOn([queue], { kinds: { kind: { options: { queue: 'default' } } } })
  return { queue, add: () => registry.addAll('kind', ['a', 'b', 'c'].map((name) => ({ data: 1, name, expiresIn: 60_000 }))) }
}

t.test('of jobs that are added together those are refused whose names are held', async (t) => {
  const { queue, add } = refusing(['b'])
  const results = await add()
  t.match(results, [{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'FST_ERR_JOB_NAME_IN_USE', message: /'b'/ } }, { status: 'fulfilled' }])
  t.same([...queue.keys.keys()], ['a', 'c'])
  t.equal(queue.marks.size, 2, 'nobody looks for when the refused one is due')
})

t.test('jobs whose names are free by the time that is asked are stored, one by one', async (t) => {
  const { queue, add } = refusing([])
  t.match(await add(), [{ status: 'fulfilled' }, { status: 'fulfilled' }, { status: 'fulfilled' }])
  t.same([...queue.keys.keys()], ['a', 'b', 'c'])
  t.equal(queue.asked.filter((asked) => asked === 'add').length, 3)
})

t.test('jobs whose names are all held are all refused', async (t) => {
  const { queue, add } = refusing(['a', 'b', 'c'])
  for (const result of await add()) t.match(result, { status: 'rejected', reason: { code: 'FST_ERR_JOB_NAME_IN_USE' } })
  t.equal(queue.entries.size + queue.marks.size, 0)
})

t.test('jobs that the store refuses for another reason are refused for it', async (t) => {
  const { queue, add } = refusing([], { code: '53100' })
  for (const result of await add()) t.match(result, { status: 'rejected', reason: { code: 'FST_ERR_JOB_ENGINE_UNAVAILABLE', cause: { code: '53100' } } })
  t.equal(queue.entries.size, 0)
})
