// Measures how long bytes have waited without progress.

/**
 * Records a sample. A stall counts from the first sample that finds waiting bytes, because they may have been written
 * just before it.
 *
 * @param moved - whether bytes have been accepted since the last sample
 * @returns the length of the stall in milliseconds
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

/** The stall of one response, for cases in which the kernel does not report it. */
export class StallClock {
  /** Whether bytes waited at the last sample. */
  waiting = false
  /** The time at which bytes last moved or nothing waited, on a clock that stops while the event loop is blocked. */
  progressAt = 0

  /** See `countStall`. */
  update(waiting: boolean, moved: boolean, loopTime: number): number {
    return countStall(this, waiting, moved, loopTime)
  }
}
