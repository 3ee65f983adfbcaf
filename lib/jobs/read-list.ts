/** The JSON list that came with an event; an empty one if another tool has published something else. */
export function readList (text: unknown): unknown[] {
  try {
    const list: unknown = JSON.parse(text as string)
    return Array.isArray(list) ? list : []
  } catch {
    return []
  }
}
