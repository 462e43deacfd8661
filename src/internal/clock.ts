// Time, as everything above sees it: replaceable in tests.
import { callAfter, monotonicNow } from './scheduling.js'

/** A source of time and of one unref'ed timer at a time. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Calls back once after `ms`; never keeps the process alive. Returns what cancels it. */
  after(ms: number, callback: () => void): () => void
}

/** The real one. Monotonic: a change of the wall clock never kills a client. */
export const systemClock: Clock = {
  now: monotonicNow,
  after: callAfter,
}
