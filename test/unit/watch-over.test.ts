// Samples a stream that has no socket.
import { describe, expect, it } from 'vitest'
import { monitorPlan } from '../../src/liveness/plan.js'
import type { Watcher } from '../../src/liveness/watch.js'
import { TimerWatch } from '../../src/stream/watch-over.js'
import { FakeClock } from '../support/fake-clock.js'

const plan = monitorPlan(30_000)

function watch(next: (now: number) => number) {
  const clock = new FakeClock()
  const looks: number[] = []
  const watcher: Watcher = {
    plan,
    onPeerDead() {},
    onPeerGone() {},
    onSample(now) {
      looks.push(now)
      return next(now)
    },
  }
  return { clock, looks, watch: new TimerWatch(clock, watcher) }
}

describe('TimerWatch', () => {
  it('samples at the pace of the plan', () => {
    const { clock, looks } = watch(() => Number.POSITIVE_INFINITY)
    clock.run(clock.now() + plan.urgentPace + 2 * plan.pace)
    expect(looks).toEqual([0, 1, 2].map((n) => plan.urgentPace + n * plan.pace))
  })

  it('looks sooner where the watcher asks for it, and at once when hurried', () => {
    const { clock, looks, watch: own } = watch((now) => now + 10)
    clock.run(clock.now() + plan.urgentPace + 20)
    expect(looks).toEqual([0, 10, 20].map((n) => plan.urgentPace + n))
    own.requestSample()
    clock.run(clock.now() + 1)
    expect(looks.length).toBe(4)
  })

  it('stops when released, also from within a sample', () => {
    const {
      clock,
      looks,
      watch: own,
    } = watch(() => {
      own.release()
      return 0
    })
    clock.run(clock.now() + plan.urgentPace * 100)
    expect(looks.length).toBe(1)
    expect(clock.armed).toBe(false)
  })
})
