// Long work in slices: of each turn of the event loop no more than a budget.
import { callNextTurn, inRootContext, monotonicNow } from '../internal/scheduling.js'
import type { Broadcast } from './broadcast.js'

/** Does the work that it is given in order, and gives the event loop its turn when the budget of one is used up. */
export class TimeSlicer {
  readonly #queue: Broadcast[] = []
  #left: number
  readonly #budget: number
  #scheduled = false
  #running = false

  /** @param budget - ms of each turn */
  constructor(budget: number) {
    this.#budget = budget
    this.#left = budget
  }

  /** Starts at once if nothing is before it and something of this turn's budget is left. */
  add(work: Broadcast): void {
    this.#queue.push(work)
    // On nobody's behalf: what it writes and calls belongs to the receivers, not to the one who broadcasts.
    if (!this.#running && this.#queue.length === 1) inRootContext(() => this.#work())
  }

  /** What is under way and what waits for its turn, in order. */
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
