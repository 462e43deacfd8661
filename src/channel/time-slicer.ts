// Splits long work into slices, with a time budget for each turn of the event loop.
import { callNextTurn, inRootContext, monotonicNow } from '../internal/scheduling.js'
import type { Broadcast } from './broadcast.js'

/** Runs broadcasts in order, and yields to the event loop when the budget of a turn is used up. */
export class TimeSlicer {
  readonly #queue: Broadcast[] = []
  #left: number
  readonly #budget: number
  #scheduled = false
  #running = false

  /** @param budget - milliseconds per turn */
  constructor(budget: number) {
    this.#budget = budget
    this.#left = budget
  }

  /** Starts at once if no other work is pending and this turn's budget is not used up. */
  add(work: Broadcast): void {
    this.#queue.push(work)
    // In the root async context: writes and callbacks belong to the receivers, not to the caller of
    // `broadcast`.
    if (!this.#running && this.#queue.length === 1) inRootContext(() => this.#work())
  }

  /** Current and waiting work, in order. */
  get pending(): readonly Broadcast[] {
    return this.#queue
  }

  #work(): void {
    this.#running = true
    const startedAt = monotonicNow()
    const until = startedAt + this.#left
    try {
      while (this.#queue.length > 0 && monotonicNow() < until) {
        if (!(this.#queue[0] as Broadcast).run(until)) break
        this.#queue.shift()
      }
    } finally {
      this.#running = false
      this.#left = Math.max(0, until - monotonicNow())
      this.#schedule()
    }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    callNextTurn(() => {
      this.#scheduled = false
      this.#left = this.#budget
      if (this.#queue.length > 0) this.#work()
    })
  }
}
