// The last places of a feed. A server that has lost the end of its stream gives the numbers again, to other events: then what both have in common is looked for
// here, so that nothing new is skipped.
import type { Stored } from './api.js'
import { checkOf, type Place } from './position.js'

/** Places that are remembered. */
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

  /** Forgets all: the feed goes on elsewhere. */
  clear(): void {
    this.#places = []
  }

  /** The last that is still in the stream: those before it are, too, and none behind it. */
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

/** Whether a message is the one of this place. */
export function isAt(message: Stored | undefined, place: Place | undefined): boolean {
  return message !== undefined && place !== undefined && checkOf(message.token) === place.check
}
