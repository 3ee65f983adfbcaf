import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../fixtures/child'

const folder = join(__dirname, '../../examples/recipes')

const prints: Record<string, string> = {
  'deadline.ts': 'FST_ERR_TASK_CANCELLED by TimeoutError\n',
  'groups.ts': 'image 7: FST_ERR_TASK_GROUP_FULL\nimage 1 starts\nimage 2 starts\nimage 3 starts\nimage 4 starts\n4 live, 4 cancelled\n',
  'opentelemetry.ts': 'task report:good in POST /reports/good: ok\ntask report:bad in POST /reports/bad: failed\ntask report:long in POST /reports/long: cancelled\n',
  'piscina.ts': 'fibonacci(20) = 6765\nFST_ERR_TASK_CANCELLED: too long\n',
  'prometheus.ts': [
    'tasks_ended_total{state="completed"} 1', 'tasks_ended_total{state="failed"} 1',
    'task_duration_seconds_count{state="completed"} 1', 'task_duration_seconds_count{state="failed"} 1',
    'tasks{state="pending"} 0', 'tasks{state="running"} 1', 'tasks{state="cancelling"} 0', ''
  ].join('\n'),
  'queue.ts': 'mail to a customer\nmail to a reader\ncompleted completed cancelled\n',
  'retry.ts': 'attempt 3 succeeded\nFST_ERR_TASK_CANCELLED: enough\n',
  'schedule.ts': '3 runs, some skipped while one was running\n'
}

t.test('every recipe has a test', async (t) => {
  t.same(readdirSync(folder).filter((file) => file.endsWith('.ts')).sort(), Object.keys(prints))
})

t.jobs = 2
for (const [file, expected] of Object.entries(prints)) {
  t.test(`the recipe ${file} does what it says and ends by itself`, async (t) => {
    const { code, output } = await run(t, [join(folder, file)])
    t.equal(output, expected)
    t.equal(code, 0)
  })
}
