// One entry of the delivery log for many broadcasts.
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'

/** Consecutive broadcasts of one page, with nothing between them. */
export class BroadcastRange {
  readonly page: BroadcastPage
  readonly first: number
  /** Offset of the page in the bytes that the connection has sent. */
  readonly base: number
  next: number

  constructor(page: BroadcastPage, first: number, next: number, base: number) {
    this.page = page
    this.first = first
    this.next = next
    this.base = base
  }

  get count(): number {
    return this.next - this.first
  }

  get end(): number {
    return this.base + this.page.end(this.next)
  }

  /** The number of events that end at `offset` or before. */
  countUpTo(offset: number): number {
    let low = this.first
    let high = this.next
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.base + this.page.end(middle + 1) <= offset) low = middle + 1
      else high = middle
    }
    return low - this.first
  }

  /** The ids of the events from index `from` to index `to - 1`, oldest first. */
  ids(from: number, to: number): string[] {
    const ids: string[] = []
    for (let index = this.first + from; index < this.first + to; index++) {
      const id = this.page.id(index)
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  /** The last id of the events from index `from` to index `to - 1`. */
  lastId(from: number, to: number): string | undefined {
    return this.page.lastId(this.first + from, this.first + to)
  }

  /** The index of the last event with this id; -1 if there is none. */
  find(id: string): number {
    for (let index = this.next - 1; index >= this.first; index--) {
      if (this.page.id(index) === id) return index - this.first
    }
    return -1
  }
}
