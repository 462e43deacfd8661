// The last places of a feed. A server that has lost the end of its stream reuses the numbers for
// other events. The trail then shows what both streams have in common, so that no new event is
// skipped.
import type { Stored } from './api.js'
import { checkOf, type Place } from './position.js'

/** How many places are remembered. */
const LENGTH = 512

/** Looks up a message by its number. */
export type LookUp = (sequence: number) => Promise<Stored | undefined>

/** Places in the order of the stream. */
export class Trail {
  #places: Place[] = []

  add(place: Place): void {
    this.#places.push(place)
    if (this.#places.length >= 2 * LENGTH) this.#places = this.#places.slice(-LENGTH)
  }

  /** Forgets all places, because the feed continues elsewhere. */
  clear(): void {
    this.#places = []
  }

  /**
   * The last place that is still in the stream. Those before it are in the stream, too; those after
   * it are not.
   */
  async lastKept(lookUp: LookUp): Promise<Place | undefined> {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (isAt(await lookUp(this.#places[middle]?.sequence ?? 0), this.#places[middle])) {
        low = middle + 1
      } else high = middle
    }
    return this.#places[low - 1]
  }
}

/** Whether a message is the one at this place. */
export function isAt(message: Stored | undefined, place: Place | undefined): boolean {
  return message !== undefined && place !== undefined && checkOf(message.token) === place.check
}
