// Replayed events: lists with a position among the events in a stream's queue.
import type { EncodedEvent } from '../sse/encode.js'

interface List {
  readonly events: Iterator<EncodedEvent>
  /** The number of events that the queue had accepted when the list was added. Those are sent first. */
  readonly after: number
  next: List | undefined
}

/**
 * The lists of one stream, oldest first. A stream of several channels, or one that is subscribed again, can have
 * several.
 */
export class Replay {
  #first: List

  constructor(events: Iterable<EncodedEvent>, after: number) {
    this.#first = { events: events[Symbol.iterator](), after, next: undefined }
  }

  add(other: Replay): void {
    let last = this.#first
    while (last.next !== undefined) last = last.next
    last.next = other.#first
  }

  /**
   * Returns the next event.
   *
   * @param isDue - whether everything before the queue's event number `after` has been sent
   * @returns `undefined` if none is due, `'over'` if none is left
   */
  next(isDue: (after: number) => boolean): EncodedEvent | 'over' | undefined {
    for (;;) {
      if (!isDue(this.#first.after)) return undefined
      const step = this.#first.events.next()
      if (!step.done) return step.value
      if (this.#first.next === undefined) return 'over'
      this.#first = this.#first.next
    }
  }
}
