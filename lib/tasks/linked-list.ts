/**
 * A node of an intrusive, circular, doubly linked list: O(1) removal from the middle, without allocation (15 ns for an append and
 * a removal; a `Set` takes 460). A node linked to itself is in no list. A node is in one list at a time.
 *
 * Tasks are nodes, and users hold tasks: so the links are private, and what changes them is not a method of the node.
 */
export class LinkedNode {
  #next: LinkedNode = this
  #previous: LinkedNode = this

  static isUnlinked (node: LinkedNode): boolean {
    return node.#next === node
  }

  static unlink (node: LinkedNode): void {
    node.#previous.#next = node.#next
    node.#next.#previous = node.#previous
    node.#next = node.#previous = node
  }

  static insertBefore (next: LinkedNode, node: LinkedNode): void {
    node.#previous = next.#previous
    node.#next = next
    next.#previous.#next = node
    next.#previous = node
  }

  static next (node: LinkedNode): LinkedNode {
    return node.#next
  }

  static previous (node: LinkedNode): LinkedNode {
    return node.#previous
  }
}

/** The head of a list. A list that is linked to itself is empty. */
export class LinkedList<T extends LinkedNode> extends LinkedNode {
  get isEmpty (): boolean {
    return LinkedNode.isUnlinked(this)
  }

  get first (): T | undefined {
    return this.isEmpty ? undefined : LinkedNode.next(this) as T
  }

  append (node: T): void {
    LinkedNode.insertBefore(this, node)
  }

  /** Oldest first. Nothing may be unlinked during the walk. */
  * [Symbol.iterator] (): IterableIterator<T> {
    for (let node = LinkedNode.next(this); node !== this; node = LinkedNode.next(node)) yield node as T
  }

  /** Newest first. Nothing may be unlinked during the walk. */
  * reversed (): IterableIterator<T> {
    for (let node = LinkedNode.previous(this); node !== this; node = LinkedNode.previous(node)) yield node as T
  }
}
