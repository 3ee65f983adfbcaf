import type { WaitOptions } from '../../types/job'
import { FST_ERR_JOB_WAIT_TIMEOUT } from '../shared/errors'
import { timers } from '../shared/timers'
import type { Outcome } from './ended'

interface Wait { ended: Promise<Outcome>, abandon: () => void }

/** Waits no longer than was asked for. @throws the signal's reason, FST_ERR_JOB_WAIT_TIMEOUT */
export function waitFor ({ ended, abandon }: Wait, name: string, { signal, timeout }: WaitOptions): Promise<Outcome> {
  if (signal === undefined && timeout === undefined) return ended
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const leave = (): void => {
      timers.clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const giveUp = (reason: unknown): void => {
      leave()
      abandon()
      reject(reason)
    }
    const onAbort = (): void => giveUp(signal!.reason)
    ended.finally(leave).then(resolve, reject)
    if (signal?.aborted === true) return onAbort()
    signal?.addEventListener('abort', onAbort)
    if (timeout !== undefined) timer = timers.setTimeout(() => giveUp(new FST_ERR_JOB_WAIT_TIMEOUT(name, timeout)), timeout, undefined)
  })
}
