import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../fixtures/child'

const folder = join(__dirname, '../../examples/recipes')

const prints: Record<string, string> = {
  'deadline.ts': 'FST_ERR_TASK_CANCELLED by TimeoutError\n',
  'opentelemetry.ts': 'task report:good in POST /reports/good: ok\ntask report:bad in POST /reports/bad: failed\ntask report:long in POST /reports/long: cancelled\n',
  'piscina.ts': 'fibonacci(20) = 6765\nFST_ERR_TASK_CANCELLED: too long\n',
  'prometheus.ts': [
    'tasks_ended_total{state="completed"} 1', 'tasks_ended_total{state="failed"} 1',
    'task_duration_seconds_count{state="completed"} 1', 'task_duration_seconds_count{state="failed"} 1',
    'tasks{state="pending"} 0', 'tasks{state="running"} 1', 'tasks{state="cancelling"} 0', ''
  ].join('\n'),
  'queue.ts': 'completed completed completed completed completed cancelled\nat most 2 at a time\n',
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
