import type { KeepJobs } from 'bullmq'
import type { JobDefinition } from '../../types/job'
import type { Family, Limits } from './generations'
import type { Settings } from './options'

type Retention = boolean | number | KeepJobs | undefined

const OPTIONS = { completed: 'removeOnComplete', failed: 'removeOnFail' } as const

/** How many of the ended jobs of a queue BullMQ keeps at most: each job that ends applies the rule of its own kind to all of them. */
export function retentionOf (settings: Pick<Settings, 'removeOnComplete' | 'removeOnFail'>, kinds: JobDefinition[], family: Family): Limits {
  const rules = [settings, ...kinds].map((options): Retention => options[OPTIONS[family]]).filter((rule) => rule !== undefined).map(limitsOf)
  return { count: Math.max(...rules.map(({ count }) => count)), age: Math.max(...rules.map(({ age }) => age)) }
}

function limitsOf (rule: Retention): Limits {
  if (rule === true) return { count: 0, age: 0 }
  if (typeof rule === 'number') return { count: rule, age: Infinity }
  const { count = Infinity, age = Infinity } = typeof rule === 'object' ? rule as { count?: number, age?: number } : {}
  return { count, age: age * 1_000 }
}
