// How long bytes have waited without progress, where the kernel does not tell.

/** One response's stall, by its looks. It counts from the first look that sees bytes wait. */
export class StallClock {
  #waiting = false
  #progressAt = 0

  /**
   * @param moved - whether something was taken since the last look
   * @param loopTime - a clock that stands while the event loop is blocked
   * @returns milliseconds
   */
  look(waiting: boolean, moved: boolean, loopTime: number): number {
    if (!waiting || moved || !this.#waiting) this.#progressAt = loopTime
    this.#waiting = waiting
    return loopTime - this.#progressAt
  }
}
