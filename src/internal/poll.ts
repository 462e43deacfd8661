// Repeats a question until the answer no longer matters.
import type { Clock } from './clock.js'

/** Milliseconds after which most acknowledgements on a short path have arrived. */
const FIRST = 4

/** Asks soon, then with growing pauses. Costs nothing while it is stopped. */
export class Poll {
  readonly #clock: Clock
  readonly #longest: number
  readonly #ask: () => boolean
  #cancel: (() => void) | undefined
  #pause = FIRST

  /**
   * @param longest - the longest pause between two questions, in milliseconds
   * @param ask - asks the question; returns whether to go on
   */
  constructor(clock: Clock, longest: number, ask: () => boolean) {
    this.#clock = clock
    this.#longest = longest
    this.#ask = ask
  }

  /** Starts asking. A running poll starts again with short pauses. */
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
      // `ask` may itself have stopped or restarted the poll.
      if (this.#ask() && this.#cancel === undefined) this.#next()
    })
  }
}
