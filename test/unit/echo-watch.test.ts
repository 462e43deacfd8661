import { describe, expect, it } from 'vitest'
import { EchoWatch } from '../../src/stream/echo-watch.js'

const settings = { beat: 5_000, silence: 20_000, required: false }

/** Looks as the monitor does: when asked to, and at least each `pace` ms. Returns when the client is given up. */
function goneAt(
  watch: EchoWatch,
  from: number,
  until: number,
  blocked: [number, number][] = [],
): number | undefined {
  let now = from
  while (now < until) {
    const next = watch.check(now)
    if (next === 'gone') return now
    if (next <= now) throw new Error(`asked again for ${next} at ${now}`)
    now = Math.min(next, now + 5_000)
    for (const [begin, end] of blocked) if (now > begin && now < end) now = end
  }
  return undefined
}

describe("a client's echoes", () => {
  it('are not expected of a client that has never sent one', () => {
    expect(goneAt(new EchoWatch(settings, 0), 0, 1_000_000)).toBeUndefined()
  })

  it('are expected at once where they are required', () => {
    const at = goneAt(new EchoWatch({ ...settings, required: true }, 0), 0, 100_000)
    expect(at).toBeGreaterThanOrEqual(20_000)
    expect(at).toBeLessThanOrEqual(20_500)
  })

  it('are missed for `silence`, and then for as long as it takes to read what waits', () => {
    const watch = new EchoWatch(settings, 0)
    watch.hear(3_000)
    const at = goneAt(watch, 3_000, 100_000)
    expect(at).toBeGreaterThanOrEqual(28_000)
    expect(at).toBeLessThanOrEqual(28_500)
  })

  it('are not missed while the event loop is blocked: what has come waits to be read', () => {
    const watch = new EchoWatch(settings, 0)
    watch.hear(0)
    // The look that is due at 5 s comes 27 s late.
    const at = goneAt(watch, 0, 100_000, [[2_000, 32_000]])
    expect(at).toBeGreaterThanOrEqual(52_000)
  })

  it('count again right after the sample that found them missing', () => {
    const watch = new EchoWatch({ ...settings, required: true }, 0)
    for (const now of [5_000, 10_000, 15_000]) watch.check(now)
    expect(watch.check(20_000)).toBe(20_500)
    expect(watch.hear(20_100)).toBe(true)
    expect(watch.check(20_500)).toBe(25_500)
  })

  it('are overdue when half of the silence is over, and no more with the next', () => {
    const watch = new EchoWatch(settings, 0)
    watch.hear(1_000)
    for (const now of [5_000, 9_000, 13_000]) watch.check(now)
    expect(watch.check(15_999)).toBe(16_000)
    expect(watch.overdue).toBe(false)
    expect(watch.check(16_000)).toBe(21_000)
    expect(watch.overdue).toBe(true)
    watch.hear(17_000)
    expect(watch.overdue).toBe(false)
  })

  it('do not count when they come without a pause', () => {
    const watch = new EchoWatch(settings, 0)
    expect([0, 100, 499, 500, 501, 1_100].map((now) => watch.hear(now))).toEqual([
      true,
      false,
      false,
      true,
      false,
      true,
    ])
  })
})
