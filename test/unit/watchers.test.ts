// What the watchers of one socket ask for together, and what it costs to find out.
import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Kernel } from '../../src/liveness/kernel.js'
import { Monitor } from '../../src/liveness/monitor.js'
import { type MonitorPlan, monitorPlan } from '../../src/liveness/plan.js'
import type { Watcher } from '../../src/liveness/watch.js'
import { Watchers } from '../../src/liveness/watchers.js'
import { FakeClock } from '../support/fake-clock.js'

function watcherWith(plan: MonitorPlan, notSentLowWater?: number): Watcher {
  return {
    plan,
    notSentLowWater,
    onPeerDead() {},
    onPeerGone() {},
    onSample: () => Number.POSITIVE_INFINITY,
  }
}

/** A kernel that tells nothing and takes everything. */
const silent: Kernel = {
  sample() {},
  exchange: () => [],
  set() {},
  reset() {},
  pending: () => 0,
  progress: () => 0,
  activity: () => 0,
}

describe('Watchers', () => {
  it('always has the strictest plan and the lowest mark of those that are there', () => {
    const steps = fc.array(
      fc.record({
        detectWithin: fc.constantFrom(4_000, 4_000, 10_000, 30_000),
        lowWater: fc.constantFrom(undefined, 1_000, 1_000, 64_000),
        leaves: fc.nat({ max: 12 }),
        stay: fc.boolean(),
      }),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(steps, (given) => {
        const watchers = new Watchers()
        const model: Watcher[] = []
        for (const { detectWithin, lowWater, leaves, stay } of given) {
          // A plan of its own each, as with options that are not frozen.
          const watcher = watcherWith(monitorPlan(detectWithin), lowWater)
          watchers.add(watcher)
          model.push(watcher)
          const [gone] = stay ? [] : model.splice(leaves % model.length, 1)
          if (gone !== undefined) expect(watchers.remove(gone)).toBe(true)
          if (gone !== undefined) expect(watchers.remove(gone)).toBe(false)
          const marks = model.flatMap(({ notSentLowWater }) => notSentLowWater ?? [])
          expect(watchers.list()).toEqual(model)
          expect(watchers.size).toBe(model.length)
          expect(watchers.plan?.detectWithin ?? Number.POSITIVE_INFINITY).toBe(
            Math.min(...model.map(({ plan }) => plan.detectWithin)),
          )
          expect(watchers.lowWater ?? Number.POSITIVE_INFINITY).toBe(Math.min(...marks))
        }
      }),
    )
  })

  it('distinguishes equally strict plans: what only one of them has goes with its watcher', () => {
    const watchers = new Watchers()
    const plain = watcherWith(monitorPlan(10_000))
    const without = watcherWith(monitorPlan(10_000, { userTimeout: false }))
    watchers.add(plain)
    watchers.add(without)
    expect(watchers.plan).toBe(plain.plan)
    watchers.remove(plain)
    expect(watchers.plan).toBe(without.plan)
  })
})

describe('many watchers on one socket', () => {
  const MANY = 2_000

  for (const [title, newestFirst] of [
    ['oldest', false],
    ['newest', true],
  ] as const) {
    it(`come and leave, ${title} first, at a cost that does not grow with their number`, () => {
      const monitor = new Monitor(new FakeClock(), silent)
      const socket = new Socket()
      let reads = 0
      const watchers = Array.from({ length: MANY }, (): Watcher => {
        const plan = monitorPlan(10_000)
        const { ...watcher } = watcherWith(plan)
        return Object.defineProperty(watcher, 'plan', {
          get() {
            reads += 1
            return plan
          },
        })
      })
      const watches = watchers.map((watcher) => monitor.watch(socket, watcher))
      const leaving = newestFirst ? watchers.reverse() : watchers
      for (const watcher of leaving) watches[0]?.release(watcher)
      expect(monitor.size).toBe(0)
      // A pass over all of them for each would be some millions.
      expect(reads).toBeLessThan(20 * MANY)
    })
  }
})
