import { LIVE_STATES, type ControlFilter, type LiveEntry } from '../shared/control-backend'
import { readPage } from './pages'
import type { Peer } from './peers'
import type { RemoteEntries } from './remote-entries'
import type { Requests } from './requests'

const PAGE = 500

interface Page { entries: LiveEntry[], next?: string }

/** Reads the live tasks of another process, page by page, as they are asked for. */
export class LiveReader {
  constructor (
    private readonly requests: Requests,
    private readonly entries: RemoteEntries,
    private readonly exposes: () => boolean
  ) {}

  /** @returns whether all were read: it ends where the peer does not answer */
  async * read (peer: Peer, filter: Pick<ControlFilter, 'group' | 'prefix'> = {}): AsyncGenerator<LiveEntry[], boolean> {
    let cursor: string | undefined = ''
    while (cursor !== undefined) {
      const page: Page | undefined = await this.readPage(peer, { ...filter, states: LIVE_STATES, limit: PAGE, after: { [peer.id]: cursor }, exposes: this.exposes() })
      if (page === undefined) return false
      yield page.entries
      cursor = page.next
    }
    return true
  }

  private async readPage (peer: Peer, args: object): Promise<Page | undefined> {
    const reading = this.entries.open()
    try {
      const { replies: [reply] } = await this.requests.request([peer], 'list', args)
      const page = reply && readPage(reply.value, peer)
      return page && { entries: this.entries.hold(page.tasks, reading), next: page.next }
    } finally {
      this.entries.close(reading)
    }
  }
}
