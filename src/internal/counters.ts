// The counters of the process. They are plain numbers, incremented where the work is done anyway.
import { shared } from './shared.js'

/** Counts values by size. `bounds` are ascending upper bounds; a value above the last one counts only in `count`. */
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

/** The number of values up to a bound. */
export interface HistogramBucket {
  /** The upper bound of the bucket, in the unit of the histogram. */
  readonly le: number
  /** Values up to `le`, including those of smaller buckets. */
  readonly count: number
}

/** A cumulative histogram, as in Prometheus: each bucket counts all values up to its bound. */
export interface HistogramSnapshot {
  /** One bucket for each bound, ascending. */
  readonly buckets: readonly HistogramBucket[]
  /** The number of all values, including those above the last bound. */
  readonly count: number
  /** The sum of all values. */
  readonly sum: number
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Counts since the process started, shared by all copies of this library. */
export const counters = shared('counters', () => ({
  opened: 0,
  refused: 0,
  closed: new Map<string, number>(),
  guardClosed: new Map<string, number>(),
  /** Bytes of streams that have ended. The writers of open streams have the others. */
  bytes: 0,
  /** Events handed to connections. A stream adds events of the fast path's broadcasts when it catches up with them. */
  events: 0,
  droppedEvents: 0,
  droppedBytes: 0,
  heartbeats: 0,
  echoes: 0,
  stalls: 0,
  broadcasts: 0,
  /** Channels with a hub, by state of their feed. */
  feeds: new Map<string, number>(),
  /** Events published over a hub, by outcome: accepted, rejected or unknown. */
  published: new Map<string, number>(),
  /** Subscriptions to channels with a hub, by outcome. */
  resumed: new Map<string, number>(),
  hubReads: 0,
  gaps: 0,
  /** Milliseconds for which streams were open. */
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
  /** Milliseconds for which dead peers had been silent when they were detected. */
  timeToDetect: new Histogram([2, 4, 6, 8, 10, 15, 20, 30, 60, 120].map((s) => s * SECOND)),
}))

/** Increments the count of `kind`. */
export function countUp(counts: Map<string, number>, kind: string, by = 1): void {
  counts.set(kind, (counts.get(kind) ?? 0) + by)
}
