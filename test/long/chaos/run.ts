// A fleet on real servers under faults, with a journal of all that it does and is told. Checked afterwards: nothing is lost, stuck or
// completed twice, no outcome is told that did not happen, and every process ends by itself. Linux.
//
// npm run chaos                                  two minutes on each store
// npm run chaos -- 600 --away 60                 ten minutes; a store that goes is away for 60 s (default 20)
// npm run chaos -- 60 --store redis --seed 7     the same faults as in the run that has printed this seed
// npm run chaos -- 60 --fault SIGSTOP            only those with this in their name
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { check } from './check'
import { Fleet } from './fleet'
import { Journal } from './journal'
import { postgresStore } from './postgres-store'
import { processFaults } from './process-faults'
import { Random } from './random'
import { redisStore } from './redis-store'
import type { Store } from './store'

const { values, positionals } = parseArgs({
  options: { seed: { type: 'string' }, away: { type: 'string', default: '20' }, store: { type: 'string' }, fault: { type: 'string', default: '' } },
  allowPositionals: true
})
const SECONDS = Number(positionals[0] ?? 120)
const SEED = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const WORKERS = 3
const CLIENTS = 2

type Faults = Record<string, () => Promise<unknown>>

/** Each kind once in an order that is drawn, then again in another. */
async function cause (of: 'store' | 'process', faults: Faults, journal: Journal, random: Random, until: number): Promise<void> {
  const kinds = Object.keys(faults).filter((kind) => kind.includes(values.fault))
  for (let deck = random.shuffle(kinds); deck.length > 0; deck = deck.length > 1 ? deck.slice(1) : random.shuffle(kinds)) {
    // For the fleet to get back to work in between.
    await sleep(of === 'store' ? random.between(6_000, 10_000) : random.between(1_000, 4_000))
    if (Date.now() > until) return
    const [kind] = deck
    journal.write('fault', { of, kind })
    await faults[kind]()
    journal.write('healed', { of, kind })
  }
}

async function run (store: Store): Promise<void> {
  const random = new Random(SEED)
  const [ofStore, ofProcesses] = [new Random(SEED + 1), new Random(SEED + 2)]
  const folder = mkdtempSync(join(tmpdir(), 'fastify-tasks-chaos-'))
  const journal = new Journal(join(folder, 'journal'))
  const fleet = new Fleet(store, journal, random, folder)
  const killAll = (): void => {
    fleet.kill()
    store.kill()
  }
  process.once('exit', killAll)
  for (let i = 0; i < WORKERS; i++) await fleet.join('worker')
  for (let i = 0; i < CLIENTS; i++) await fleet.join('client')

  const until = Date.now() + SECONDS * 1_000
  const bind = (faults: Record<string, (...args: any[]) => Promise<unknown>>, ...args: unknown[]): Faults => (
    Object.fromEntries(Object.entries(faults).map(([kind, fault]) => [kind, () => fault(...args)]))
  )
  await Promise.all([
    cause('store', bind(store.faults, { random: ofStore, away: Number(values.away) * 1_000 }), journal, ofStore, until),
    cause('process', bind(processFaults, fleet, ofProcesses), journal, ofProcesses, until),
    sleep(SECONDS * 1_000)
  ])

  await fleet.join('worker', { hasAllKinds: true })
  const { clients, members } = fleet
  await Promise.all(clients.map(async (client) => {
    const drained = client.says('drained')
    client.order({ order: 'drain' })
    await Promise.race([drained, client.exited])
  }))
  const left = Promise.all(members.map((member) => fleet.leave(member)))
  if (await Promise.race([left, sleep(30_000, 'late')]) === 'late') {
    for (const { child, pid } of members) if (child.exitCode === null) journal.write('stays', { member: pid })
  }
  fleet.kill()
  process.off('exit', killAll)

  const { problems, figures } = check(journal.read())
  console.log(store.name, figures)
  for (const problem of problems.slice(0, 50)) console.error(`${store.name}: ${problem}`)
  if (problems.length === 0) return rmSync(folder, { recursive: true })
  console.error(`${store.name}: ${problems.length} problems; the journal and the logs are in ${folder}`)
  process.exitCode = 1
}

async function main (): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  console.log(`seed ${SEED}`)
  for (const [name, start] of [['redis', redisStore], ['postgres', postgresStore]] as const) {
    if ((values.store ?? name) !== name) continue
    const store = await start()
    if (store === undefined) console.error('NOT RUN on Redis: there is no redis-server on this machine')
    else await run(store).finally(() => store.close())
  }
}

main()
