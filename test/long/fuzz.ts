// npm run fuzz -- 120: two minutes of hostile input to the routes, the feed and the dashboard of a server on the loopback.
// Ends with 1 if the server crashed, answered with 500 or more, let the text of an error out, or lost a task.
import { fuzz } from '../fixtures/fuzz'

async function main (): Promise<void> {
  const seconds = Number(process.argv[2] ?? 60)
  const { findings, ...figures } = await fuzz(seconds * 1000)
  console.log(JSON.stringify(figures, null, 2))
  for (const finding of findings) console.log(`finding: ${finding}`)
  console.log(`${findings.length} findings`)
  process.exitCode = findings.length > 0 ? 1 : 0
}

main()
