// The process's counters: plain numbers, added to where the work is done anyway.
import { shared } from './shared.js'

/** Adds up values by size. Bounds are upper ones, ascending; what is above the last is in `count` only. */
export class Histogram {
  readonly bounds: readonly number[]
  readonly #counts: number[]
  #count = 0
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.#count += 1
    this.#sum += value
    const bucket = this.bounds.findIndex((bound) => value <= bound)
    if (bucket >= 0) this.#counts[bucket] = (this.#counts[bucket] as number) + 1
  }

  snapshot(): HistogramSnapshot {
    let below = 0
    const buckets = this.bounds.map((le, index) => {
      below += this.#counts[index] as number
      return { le, count: below }
    })
    return { buckets, count: this.#count, sum: this.#sum }
  }
}

/** How many values were at most so large. */
export interface HistogramBucket {
  /** The bucket's upper limit, in the histogram's unit. */
  readonly le: number
  /** Values up to it, those of smaller buckets among them. */
  readonly count: number
}

/** A histogram as Prometheus has it: each bucket counts all values up to its bound. */
export interface HistogramSnapshot {
  /** Values of at most `le`, for each bound, ascending. */
  readonly buckets: readonly HistogramBucket[]
  /** All values, those above the last bound too. */
  readonly count: number
  /** Of all values. */
  readonly sum: number
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Since the process began, of all copies of this library. */
export const counters = shared('counters', () => ({
  opened: 0,
  refused: 0,
  closed: new Map<string, number>(),
  guardClosed: new Map<string, number>(),
  /** Of streams that have ended; those of the others are in their senders. */
  bytes: 0,
  /** Handed to connections; broadcasts on the short way are added when a stream reads them up. */
  events: 0,
  droppedEvents: 0,
  droppedBytes: 0,
  heartbeats: 0,
  echoes: 0,
  stalls: 0,
  broadcasts: 0,
  /** Channels with a hub, by the state of their feed. */
  feeds: new Map<string, number>(),
  /** What was published over a hub: taken, not taken, or who knows. */
  published: new Map<string, number>(),
  /** Subscriptions to channels with a hub, by outcome. */
  resumed: new Map<string, number>(),
  hubReads: 0,
  gaps: 0,
  /** Milliseconds that streams were open. */
  duration: new Histogram([
    SECOND,
    10 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    6 * HOUR,
    24 * HOUR,
  ]),
  /** Milliseconds that peers had been silent when they were found dead. */
  timeToDetect: new Histogram([2, 4, 6, 8, 10, 15, 20, 30, 60, 120].map((s) => s * SECOND)),
}))

/** One more of a kind. */
export function countUp(counts: Map<string, number>, kind: string, by = 1): void {
  counts.set(kind, (counts.get(kind) ?? 0) + by)
}
