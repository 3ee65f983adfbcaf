/**
 * A place in a ring. One alone is a ring that holds none.
 *
 * What is kept in a ring is a place itself, so that it comes and goes at the same cost whatever their number, and nothing is
 * made for it. It is in one ring at a time.
 */
export class Place {
  next: Place = this
  previous: Place = this

  get alone (): boolean {
    return this.next === this
  }

  /** Puts another last in the ring that this one heads. */
  push (place: Place): void {
    place.previous = this.previous
    place.next = this
    this.previous.next = place
    this.previous = place
  }

  leave (): void {
    this.previous.next = this.next
    this.next.previous = this.previous
    this.next = this.previous = this
  }
}
