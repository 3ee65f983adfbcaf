// A text may be of any length: each pattern takes time in proportion to it, so what precedes its fixed part is bounded.

/** Where a connection string begins: whatever follows up to a quote may be part of it. */
const URL_LIKE = /([\w+.-]{1,32}):\/+[^'"`]*/g
const WORD = /\S+/g
/** The value of a member or a parameter that is called so. */
const SECRET = /((?:pass|pwd|secret|token|credential|auth)\w{0,32}['"]?\s*(?::|=>?)\s*)((['"`])(?:\\.|(?!\3)[^\\])*(?:\3|$)|[^\s,}]+)/gi
const SECRET_NAME = /pass|pwd|secret|token|credential|auth/i
const URL = /([\w+.-]{1,32}):\/\/[^\s'"`]*/g
/** Of a URL: its user, or a password as a parameter. */
const CREDENTIALS = /@|(?:pass|pwd|secret|token)\w{0,32}=/i

/** Cuts a text that a client may have sent, for the message of an error: it may be of any length. */
export function clip (text: string, length = 200): string {
  // Not within a surrogate pair.
  return text.length > length ? `${text.slice(0, length).toWellFormed()}…` : text
}

/** Cleans a text of the caller's that is shown otherwise as it is, such as a name: of URLs with credentials alone. */
export function redactUrls (text: string): string {
  return text.replaceAll(URL, (url, scheme) => CREDENTIALS.test(url) ? `${scheme}://[redacted]` : url)
}

/** Cleans what errors and log lines show of a caller's value: no connection string, and no password that is called one. */
export function redactText (text: string): string {
  // What has a user or a password before its host.
  const redactHost = (word: string): string => word.includes('@') ? '[redacted]' : word
  return text.replaceAll(URL_LIKE, '$1://[redacted]').replaceAll(SECRET, '$1[redacted]').replaceAll(WORD, redactHost)
}

/** The same for the value of an option, which may be a secret by the option's name alone. */
export function redactOption (option: string, formatted: string): string {
  const text = redactText(formatted)
  // A text that is no URL may be the password alone.
  const isBare = option === 'connection' && /^['"`]../.test(text) && text === formatted
  return isBare || SECRET_NAME.test(option) ? '[redacted]' : text
}

/** Primitive members of an error that say where it comes from. The others may hold anything: ioredis keeps a command's arguments. */
const KEPT = ['code', 'errno', 'syscall', 'address', 'port', 'severity'] as const

/** A copy of an error of the store without what must not be logged. Of its members those remain that say where it comes from. */
export function redactError (error: unknown): Error & { code?: unknown } {
  const { name, message, stack, cause } = error instanceof Error ? error : new Error(String(error))
  const copy: Error & { code?: unknown } = new Error(redactText(message))
  Object.defineProperty(copy, 'name', { value: name, configurable: true, writable: true })
  copy.stack = `${name}: ${copy.message}${/\n {4}at [^]*/.exec(stack ?? '')?.[0] ?? ''}`
  for (const member of KEPT) {
    const value = (error as Record<string, unknown> | null)?.[member]
    // The address may be a connection string that was taken for the path of a socket.
    if (typeof value === 'string') Object.assign(copy, { [member]: redactText(value) })
    if (typeof value === 'number') Object.assign(copy, { [member]: value })
  }
  if (cause instanceof Error) copy.cause = redactError(cause)
  return copy
}
