import { setTimeout } from 'node:timers/promises'
const sent: string[] = []
const build = async (signal: AbortSignal): Promise<string> => {
  await setTimeout(100)
  return 'a report'
}
const send = async (report: string, signal: AbortSignal): Promise<void> => { sent.push(report) }
// --- the block ---
await app.ready()
await new Promise((resolve) => { setImmediate(resolve) })
await app.close()
assert.deepEqual(sent, ['a report'])
assert.equal(app.getTask('send')!.state, 'completed')
