// Events that are sent again: lists with a place among what waits in a stream's queue.
import type { EncodedEvent } from '../sse/encode.js'

interface List {
  readonly events: Iterator<EncodedEvent>
  /** How many events the queue had taken when it came: those go first. */
  readonly after: number
  next: List | undefined
}

/** The lists of one stream, oldest first: one of several channels, or one that is subscribed again, can have several. */
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
   * The next event.
   *
   * @param isDue - whether what came before the `after`th event of the queue has been sent
   * @returns `undefined`: none is due. `'over'`: none is left
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
