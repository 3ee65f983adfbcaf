import { setTimeout as sleep } from 'node:timers/promises'
import { LOCK, type Fleet, type Member } from './fleet'
import type { Random } from './random'

/** How long what is broken may last, in ms. Longer than a lock. */
const longer = (random: Random): number => random.between(1.5 * LOCK, 4 * LOCK)

/** What can go wrong with a process of the fleet: each breaks one, and resolves when that is over. */
export const processFaults: Record<string, (fleet: Fleet, random: Random) => Promise<unknown>> = {
  'kill -9 of a worker': async (fleet) => {
    const worker = fleet.takeWorker()
    worker.child.kill('SIGKILL')
    await worker.exited
    await fleet.join('worker')
  },
  'SIGTERM of a worker': async (fleet) => {
    await fleet.leave(fleet.takeWorker())
    await fleet.join('worker')
  },
  'SIGSTOP of a process': (fleet, random) => stall(fleet, random.pick(fleet.members), async ({ child }) => {
    child.kill('SIGSTOP')
    await sleep(longer(random))
    child.kill('SIGCONT')
  }),
  'blocked event loop': (fleet, random) => stall(fleet, random.pick(fleet.members), async (member) => {
    const ms = longer(random)
    member.order({ order: 'block', ms })
    await sleep(ms)
  }),
  'partition, then all arrives': (fleet, random) => stall(fleet, random.pick(linked(fleet)), async ({ link }) => {
    link!.silence()
    await sleep(longer(random))
    link!.heal()
  }),
  'partition, then broken connections': (fleet, random) => stall(fleet, random.pick(linked(fleet)), async ({ link }) => {
    link!.silence()
    await sleep(longer(random))
    link!.cut()
    link!.heal()
  }),
  'clock of a process is set forward': (fleet, random) => leap(fleet, random, 30_000),
  'clock of a process is set back': (fleet, random) => leap(fleet, random, -30_000),
  purge: async (fleet, random) => random.pick(fleet.clients).order({ order: 'purge' })
}

/** What the process had been told before may come to pass afterwards. */
async function stall (fleet: Fleet, member: Member, fault: (member: Member) => Promise<void>): Promise<void> {
  fleet.journal.write('stalled', { member: member.pid })
  await fault(member)
  fleet.journal.write('goes on', { member: member.pid })
}

async function leap (fleet: Fleet, random: Random, ms: number): Promise<void> {
  const member = random.pick(fleet.members)
  member.order({ order: 'leap', ms })
  await sleep(longer(random))
  if (member.child.connected) member.order({ order: 'leap', ms: 0 })
}

function linked ({ members }: Fleet): Member[] {
  return members.filter(({ link }) => link !== undefined)
}
