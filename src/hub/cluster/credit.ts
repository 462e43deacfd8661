// How much may be on its way to somebody who has not said yet that it was taken.
import { Deferred } from '../../internal/deferred.js'

/** A limit on what is on its way. */
export class Credit {
  readonly #limit: number
  #untaken = 0
  #room: Deferred<void> | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** How much is on its way. */
  get untaken(): number {
    return this.#untaken
  }

  /** `undefined` where there is room; else what settles when half has been taken. */
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
