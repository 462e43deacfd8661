// Time as a test wants it. With room for one timer, which is all that a clock has to have.
import type { Clock } from '../../src/internal/clock.js'

export class FakeClock implements Clock {
  time = 0
  #timer: { at: number; callback: () => void } | undefined
  now = (): number => this.time
  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.time + ms, callback }
    this.#timer = timer
    return () => {
      if (this.#timer === timer) this.#timer = undefined
    }
  }

  get armed(): boolean {
    return this.#timer !== undefined
  }

  /** The event loop is blocked for so long: what is due comes after it. */
  block(milliseconds: number): void {
    this.time += milliseconds
    if (this.#timer !== undefined) this.#timer.at = Math.max(this.#timer.at, this.time)
  }

  /** Calls back what is due up to then, in order. */
  run(until: number): void {
    while (this.#timer !== undefined && this.#timer.at <= until) {
      const { at, callback } = this.#timer
      this.#timer = undefined
      this.time = at
      callback()
    }
    this.time = until
  }
}
