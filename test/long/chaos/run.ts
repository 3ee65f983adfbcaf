// A fleet on real servers under faults, with a journal of every add, start and end that is checked afterwards: nothing is lost, no
// outcome is told that did not happen, nothing is stuck, and every process ends. `npm run chaos [-- seconds for each store]`.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from '../../../examples/embedded-postgres'
import { EventLog, eventually, FleetProcess } from '../../fixtures/fleet'
import { startRedis, type Server } from '../../fixtures/redis'

const WORKERS = 3
const LOCK = 3_000

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]

interface Fleet {
  control: FleetProcess
  workers: FleetProcess[]
  reports: EventLog
  join: () => Promise<FleetProcess>
  server: Server
  /** The processes that were not killed, and must end by themselves. */
  closed: FleetProcess[]
}

const FAULTS: Record<string, (fleet: Fleet) => Promise<unknown>> = {
  async 'kill -9 of a worker' ({ workers, join }) {
    await workers.splice(workers.indexOf(pick(workers)), 1)[0].kill()
    workers.push(await join())
  },
  async 'a worker that is stopped for longer than its lock' ({ workers }) {
    const { child } = pick(workers)
    child.kill('SIGSTOP')
    await sleep(2 * LOCK)
    child.kill('SIGCONT')
  },
  async 'a worker that closes' ({ workers, join, closed }) {
    const [leaver] = workers.splice(workers.indexOf(pick(workers)), 1)
    closed.push(leaver)
    await leaver.call('close')
    workers.push(await join())
  },
  async 'a store that is away for three seconds' ({ server }) {
    await server.stop()
    await sleep(3_000)
    await server.start()
  },
  'a blocked event loop': ({ control }) => control.call('add', 'work', { block: 1.5 * LOCK, ms: 1 }, { name: `blocks ${randomUUID()}` }).catch(() => {}),
  'a purge': ({ control }) => control.call('purge').catch(() => {})
}

async function run (store: string, server: Server, seconds: number): Promise<void> {
  const reports = new EventLog()
  const options = { connection: server.connection, queue: `chaos-${randomUUID()}`, lockDuration: LOCK, cancelTimeout: 5_000, closeTimeout: 2_000, removeOnComplete: 100_000 }
  const all: FleetProcess[] = []
  const join = async (more: object = {}): Promise<FleetProcess> => {
    const member = new FleetProcess(reports)
    all.push(member)
    await member.call('boot', { ...options, ...more }, ['work'])
    return member
  }
  const control = await join({ worker: false })
  const fleet: Fleet = { control, workers: await Promise.all(Array.from({ length: WORKERS }, () => join())), reports, join, server, closed: [] }
  const added = new Set<string>()
  const figures: Record<string, number> = { added: 0, refused: 0 }
  const until = Date.now() + seconds * 1_000

  const adding = (async () => {
    for (let i = 0; Date.now() < until; i++) {
      const name = `job ${i}`
      await control.call('add', 'work', { ms: Math.floor(Math.random() * 200) }, { name }).then(() => added.add(name), () => figures.refused++)
      await sleep(10)
    }
  })()
  while (Date.now() < until) {
    const fault = pick(Object.keys(FAULTS))
    figures[fault] = (figures[fault] ?? 0) + 1
    await FAULTS[fault](fleet)
    await sleep(1_000)
  }
  await adding
  figures.added = added.size

  const problems: string[] = []
  const check = (holds: boolean, problem: string): void => { if (!holds) problems.push(problem) }
  const left = await eventually(() => control.call('list').catch(() => ['unknown']), (names) => names.length === 0, 60_000)
  check(left.length === 0, `${left.length} jobs are stuck: ${left.slice(0, 5).join()}`)
  for (const name of added) check(reports.of('end', name).length > 0, `${name} was added and never ended`)
  // What is kept of an end says how it ended; a purge may have taken it.
  for (const name of [...added].slice(-200)) {
    const job = await control.call('get', name)
    check(job === undefined || job.state === 'completed', `${name} ended and is told as ${job?.state}: ${JSON.stringify(job?.error)}`)
  }
  const starts = reports.all.filter(({ event, name }) => event === 'start' && added.has(name)).length
  figures['run more than once'] = starts - added.size
  const leavers = [control, ...fleet.workers, ...fleet.closed]
  await Promise.all([control, ...fleet.workers].map((member) => member.call('close')))
  const exits = await Promise.race([Promise.all(leavers.map(({ exited }) => exited)), sleep(20_000)])
  check(exits !== undefined, 'a process did not end')
  await Promise.all(all.map((member) => member.kill()))
  console.log(store, figures)
  for (const problem of problems) console.error(`${store}: ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}

async function main (): Promise<void> {
  const seconds = Number(process.argv[2] ?? 120)
  const redis = await startRedis()
  if (redis === undefined) console.error('NOT RUN on Redis: there is no redis-server on this machine')
  else await run('Redis', redis, seconds).finally(() => redis.close())
  const { url, ...postgres } = await startPostgres()
  await run('PostgreSQL', { connection: url, ...postgres }, seconds).finally(() => postgres.close())
}

main()
