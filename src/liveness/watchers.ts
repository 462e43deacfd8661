// The watchers of one socket, where there are several. An HTTP/2 connection can carry thousands of streams, and its client
// decides how many: neither a watcher that comes nor one that leaves may cost a pass over all the others.
import { isDeepStrictEqual } from 'node:util'
import type { MonitorPlan } from './plan.js'
import type { Watcher } from './watch.js'

/** A set of watchers that knows what they ask for together. */
export class Watchers {
  readonly #all = new Set<Watcher>()
  #plan: MonitorPlan | undefined
  #lowWater: number | undefined
  /** How many of them have this plan, and how many this low-water mark: a pass is due when the last of these leaves. */
  #withPlan = 0
  #withLowWater = 0

  get size(): number {
    return this.#all.size
  }

  /** The strictest plan; of several that are equally strict, the one that came first. */
  get plan(): MonitorPlan | undefined {
    return this.#plan
  }

  /** The lowest TCP_NOTSENT_LOWAT that one of them asks for. */
  get lowWater(): number | undefined {
    return this.#lowWater
  }

  /** A copy: watchers come and go while they are called. */
  list(): readonly Watcher[] {
    return [...this.#all]
  }

  add(watcher: Watcher): void {
    this.#all.add(watcher)
    this.#countPlan(watcher)
    this.#countLowWater(watcher)
  }

  /** Returns whether it was there. */
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

/** Whether two plans ask for the same: options objects that are not frozen give each stream a plan of its own. */
export function isSamePlan(a: MonitorPlan, b: MonitorPlan | undefined): boolean {
  return a === b || (a.detectWithin === b?.detectWithin && isDeepStrictEqual(a, b))
}
