/** A piece of a name: text to show as it is, or a character that would not be seen, or would change what is seen around it. */
interface NamePart { text: string, special: boolean }

// Controls, formats (bidi, zero width), line and paragraph separators, private use, halves of surrogate pairs, and what looks like nothing.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]|\u115f|\u1160|\u3164|\uffa0|\u2800|\u034f/u
// Blanks other than a single one between two other characters.
const PARTS = new RegExp(`${UNSEEN.source}|^\\s+|\\s+$|\\s{2,}|[^\\S ]`, 'gu')

/** Splits a name so that each special character can be shown as what it is. */
export function nameParts (name: string): NamePart[] {
  const parts: NamePart[] = []
  let from = 0
  for (const { 0: found, index } of name.matchAll(PARTS)) {
    if (index > from) parts.push({ text: name.slice(from, index), special: false })
    for (const character of found) parts.push({ text: escapeCharacter(character), special: true })
    from = index + found.length
  }
  if (from < name.length) parts.push({ text: name.slice(from), special: false })
  return parts
}

function escapeCharacter (character: string): string {
  if (character === ' ') return 'space'
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
}

/** The name as plain text in which every character can be seen: for labels and questions. */
export function safeName (name: string): string {
  return nameParts(name).map(({ text, special }) => special ? `[${text}]` : text).join('')
}

/** Text of several lines, in which every character other than a blank can be seen. */
export function safeText (text: string): string {
  return text.replace(/[^\n\t]/gu, (character) => UNSEEN.test(character) ? `[${escapeCharacter(character)}]` : character)
}

/** Sorts `task:9` before `task:10`. */
export function naturalKey (name: string): string {
  return name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(16, '0'))
}

/** What the names of many tasks begin with: `report:` of `report:7`, `task-` of `task-12`. Without a number or a separator there is none. */
export function namePrefix (name: string): string | undefined {
  return /^[^:/#]+[:/#]/.exec(name)?.[0] ?? /^(.*[^\d\s])\d+$/su.exec(name)?.[1]
}
