// Limits how much may be in flight to a receiver that has not confirmed it yet.
import { Deferred } from '../../internal/deferred.js'

/** A limit on what is in flight. */
export class Credit {
  readonly #limit: number
  #untaken = 0
  #room: Deferred<void> | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** How much is in flight. */
  get untaken(): number {
    return this.#untaken
  }

  /**
   * `undefined` if more may be sent. Otherwise a promise that resolves once at most half of the
   * limit is in flight.
   */
  room(): Promise<void> | undefined {
    if (this.#untaken < this.#limit) return undefined
    this.#room ??= new Deferred()
    return this.#room.promise
  }

  sent(amount: number): void {
    this.#untaken += amount
  }

  taken(amount: number): void {
    this.#untaken -= amount
    if (this.#untaken > this.#limit / 2) return
    this.#room?.resolve()
    this.#room = undefined
  }
}
