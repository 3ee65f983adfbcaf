// Frames of WebSockets as a server sends them: not masked (RFC 6455). One message is encoded once for all clients.

const TEXT = 0x1
const CONTINUATION = 0x0
const FIN = 0x80

/** The payload of a fragment. A message is sent in such parts, so that its progress can be seen and control frames go between. */
const FRAGMENT = 16 * 1024

/** The frames of a message, shared by all that it is sent to. */
export type Message = readonly Buffer[]

export const PING = Buffer.from([FIN | 0x9, 0])

/** A ping that says in its payload, and so in its pong, how far a client has read. */
export function markOf (number: number): Buffer {
  const mark = Buffer.from([FIN | 0x9, 4, 0, 0, 0, 0])
  mark.writeUInt32BE(number, 2)
  return mark
}

/** @returns 0 for the payload of another pong */
export function readMark (payload: Buffer): number {
  return payload.length === 4 ? payload.readUInt32BE() : 0
}

/** The frames of a text message. Each must be written whole. */
export function encodeMessage (text: string): Message {
  const payload = Buffer.from(text)
  const frames = []
  for (let start = 0; start === 0 || start < payload.length; start += FRAGMENT) {
    const end = Math.min(start + FRAGMENT, payload.length)
    const first = (start === 0 ? TEXT : CONTINUATION) | (end === payload.length ? FIN : 0)
    frames.push(frame(first, payload.subarray(start, end)))
  }
  return frames
}

/** In bytes. */
export function sizeOf (message: Message): number {
  let size = 0
  for (const { length } of message) size += length
  return size
}

/** Whether a message ends with this frame, the first of the buffer. */
export const endsMessage = (frame: Buffer): boolean => (frame[0] & FIN) !== 0

function frame (first: number, payload: Buffer): Buffer {
  const { length } = payload
  // A fragment is too short for the header of eight bytes more.
  const header = length < 126 ? [first, length] : [first, 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), payload])
}
