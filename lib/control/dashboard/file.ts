import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
}

/** A file of the page. A browser asks for it each time, and is sent it only if it has changed. */
export class File {
  private readonly etag: string

  constructor (private readonly type: string, private readonly content: string) {
    // Weak: the app may compress what is sent.
    this.etag = `W/"${createHash('sha256').update(content).digest('base64url')}"`
  }

  send ({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
    reply.headers({ ...HEADERS, etag: this.etag })
    return this.isKnown(headers['if-none-match']) ? reply.code(304).send() : reply.type(this.type).send(this.content)
  }

  /** Proxies make a tag strong or weak: either is the same here. */
  private isKnown (tags = ''): boolean {
    return tags.trim() === '*' || tags.includes(this.etag.slice(2))
  }
}
