// The source of time for the rooms above. Tests replace it.
import { callAfter, monotonicNow } from './scheduling.js'

/** A monotonic clock with unref'ed timers. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number
  /**
   * Calls back once after `ms` milliseconds; never keeps the process alive. Returns a function that cancels the timer.
   */
  after(ms: number, callback: () => void): () => void
}

/** The clock of the process. It is monotonic, so that a change of the wall clock never closes a client. */
export const systemClock: Clock = {
  now: monotonicNow,
  after: callAfter,
}
