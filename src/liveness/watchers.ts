// The watchers of one socket, if it has several. An HTTP/2 connection can carry thousands of streams, and its client
// decides how many. Therefore adding or removing a watcher must not cost a pass over all of them.
import { isDeepStrictEqual } from 'node:util'
import type { MonitorPlan } from './plan.js'
import type { Watcher } from './watch.js'

/** A set of watchers and their combined requirements. */
export class Watchers {
  readonly #all = new Set<Watcher>()
  #plan: MonitorPlan | undefined
  #lowWater: number | undefined
  /**
   * How many watchers have this plan and this low-water mark. When the last of these leaves, a pass over the others is
   * necessary.
   */
  #withPlan = 0
  #withLowWater = 0

  get size(): number {
    return this.#all.size
  }

  /** The strictest plan. Of several equally strict ones, the first that was added. */
  get plan(): MonitorPlan | undefined {
    return this.#plan
  }

  /** The lowest TCP_NOTSENT_LOWAT that a watcher requests. */
  get lowWater(): number | undefined {
    return this.#lowWater
  }

  /** Returns a copy, because watchers may be added and removed while they are called. */
  list(): readonly Watcher[] {
    return [...this.#all]
  }

  add(watcher: Watcher): void {
    this.#all.add(watcher)
    this.#countPlan(watcher)
    this.#countLowWater(watcher)
  }

  /** Returns whether the watcher was present. */
  remove(watcher: Watcher): boolean {
    if (!this.#all.delete(watcher)) return false
    if (isSamePlan(watcher.plan, this.#plan) && --this.#withPlan === 0) {
      this.#plan = undefined
      for (const other of this.#all) this.#countPlan(other)
    }
    const { notSentLowWater } = watcher
    if (notSentLowWater === undefined || notSentLowWater !== this.#lowWater) return true
    if (--this.#withLowWater === 0) {
      this.#lowWater = undefined
      for (const other of this.#all) this.#countLowWater(other)
    }
    return true
  }

  #countPlan({ plan }: Watcher): void {
    if (this.#plan === undefined || plan.detectWithin < this.#plan.detectWithin) {
      this.#plan = plan
      this.#withPlan = 1
    } else if (isSamePlan(plan, this.#plan)) {
      this.#withPlan += 1
    }
  }

  #countLowWater({ notSentLowWater }: Watcher): void {
    if (notSentLowWater === undefined) return
    if (this.#lowWater === undefined || notSentLowWater < this.#lowWater) {
      this.#lowWater = notSentLowWater
      this.#withLowWater = 1
    } else if (notSentLowWater === this.#lowWater) {
      this.#withLowWater += 1
    }
  }
}

/** Whether two plans are equal. Options objects that are not frozen give each stream its own plan. */
export function isSamePlan(a: MonitorPlan, b: MonitorPlan | undefined): boolean {
  return a === b || (a.detectWithin === b?.detectWithin && isDeepStrictEqual(a, b))
}
