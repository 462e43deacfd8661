// How long bytes have waited without progress.

/**
 * A look. A stall counts from the first look that sees bytes wait: they may have been written just before it.
 *
 * @param moved - whether something was taken since the last look
 * @returns milliseconds
 */
export function countStall(
  stall: Pick<StallClock, 'waiting' | 'progressAt'>,
  waiting: boolean,
  moved: boolean,
  loopTime: number,
): number {
  if (!waiting || moved || !stall.waiting) stall.progressAt = loopTime
  stall.waiting = waiting
  return loopTime - stall.progressAt
}

/** One response's stall, where the kernel does not tell of it. */
export class StallClock {
  /** Whether bytes waited at the last look. */
  waiting = false
  /** When bytes last moved, or nothing waited; on a clock that stands while the event loop is blocked. */
  progressAt = 0

  /** See `countStall`. */
  update(waiting: boolean, moved: boolean, loopTime: number): number {
    return countStall(this, waiting, moved, loopTime)
  }
}
