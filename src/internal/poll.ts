// A question that is asked again until the answer no longer matters.
import type { Clock } from './clock.js'

/** Most acknowledgements on a near path are there by then. */
const FIRST = 4

/** Asks soon, then ever less often; costs nothing while nobody wants to know. */
export class Poll {
  readonly #clock: Clock
  readonly #longest: number
  readonly #ask: () => boolean
  #cancel: (() => void) | undefined
  #pause = FIRST

  /**
   * @param longest - the longest pause between two questions, ms
   * @param ask - asks; whether to go on
   */
  constructor(clock: Clock, longest: number, ask: () => boolean) {
    this.#clock = clock
    this.#longest = longest
    this.#ask = ask
  }

  /** Starts asking; one that goes on starts over with short pauses. */
  start(): void {
    this.stop()
    this.#pause = FIRST
    this.#next()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #next(): void {
    this.#cancel = this.#clock.after(this.#pause, () => {
      this.#cancel = undefined
      this.#pause = Math.min(this.#pause * 2, this.#longest)
      // The question may have stopped or restarted the poll itself.
      if (this.#ask() && this.#cancel === undefined) this.#next()
    })
  }
}
