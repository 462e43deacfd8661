import { describe, expect, it } from 'vitest'
import { retransmitMaxFor, userTimeoutFor } from '../../src/liveness/kernel-clocks.js'
import { planFor } from '../../src/liveness/plan.js'
import { type Numbers, observed, readings } from '../support/readings.js'

const D = 30_000
const plan = planFor(D, {}, true)
/** For a kernel without TCP_RTO_MAX_MS. */
const old = planFor(D, {}, false)
const lead = plan.userTimeout as number
const never = { windowClearAt: 0, lossClearAt: 0 }

const at = (look: Numbers, now = 0): number => observed(undefined, look, plan, now)

describe('userTimeoutFor', () => {
  const idle = { ...never, windowClearAt: 100_000, lossClearAt: 100_000 }
  const cases: [string, Numbers, typeof never, number][] = [
    ['neither clock has run', { unackedSegments: 2 }, idle, lead],
    ['the window has held something up', { windowLimited: 5 }, never, 100_000 + 1.5 * lead],
    ['a segment was retransmitted', { totalRetransmits: 1 }, never, 100_000 + 1.5 * lead],
    [
      'both: the older one counts',
      { windowLimited: 5, totalRetransmits: 1 },
      { windowClearAt: 90_000, lossClearAt: 0 },
      100_000 + 1.5 * lead,
    ],
    [
      'since when is not known: the longest that there is',
      { windowLimited: 5 },
      { ...idle, windowClearAt: Number.NEGATIVE_INFINITY },
      2 ** 31 - 1,
    ],
  ]
  for (const [title, look, clocks, wanted] of cases) {
    it(`is ahead of the kernel's clocks by the lead: ${title}`, () => {
      expect(userTimeoutFor(readings, at(look, 100_000), clocks, plan, 100_000, Number.NaN)).toBe(
        wanted,
      )
    })
  }

  it('stays as it is while it is far enough ahead', () => {
    const current = at({ windowLimited: 5 }, 100_000)
    const inForce = 100_000 + 1.2 * lead
    expect(userTimeoutFor(readings, current, never, plan, 100_000, inForce)).toBe(inForce)
    expect(userTimeoutFor(readings, current, never, plan, 120_000, inForce)).toBe(
      120_000 + 1.5 * lead,
    )
  })

  it('walks close ahead behind a shut window where TCP_RTO_MAX_MS is missing, so that the kernel probes', () => {
    const shut = at({ unsent: 5_000, windowLimited: 5 }, 100_000)
    const clocks = { windowClearAt: 40_000, lossClearAt: 99_000 }
    expect(userTimeoutFor(readings, shut, clocks, old, 100_000, lead)).toBe(
      60_000 + (old.shutWindowLead as number),
    )
    const over = at({ unackedSegments: 1, sendWindow: 0, totalRetransmits: 3 }, 100_000)
    expect(userTimeoutFor(readings, over, clocks, old, 100_000, lead)).toBe(
      1_000 + (old.shutWindowLead as number),
    )
  })

  it('is left alone where the plan has none', () => {
    const without = planFor(D, { userTimeout: false }, true)
    const current = at({ unackedSegments: 2 })
    expect(userTimeoutFor(readings, current, never, without, 0, 7)).toBe(7)
  })
})

describe('retransmitMaxFor', () => {
  const least = plan.retransmitMax as number
  it("is the plan's on a short path", () => {
    expect(retransmitMaxFor(readings, at({}), plan, least)).toBe(least)
  })
  it('is twice the retransmission timeout of a long one', () => {
    expect(retransmitMaxFor(readings, at({ rtt: 2_000, rttVariation: 100 }), plan, least)).toBe(
      4_800,
    )
  })
  it('has two questions asked of a window that was shut over data in flight, and ends it with neither', () => {
    // tcp_rtx_probe0_timed_out: the connection ends at a timeout that comes later than twice this after the last ACK.
    const answered = retransmitMaxFor(
      readings,
      at({ unackedSegments: 1, sendWindow: 0 }),
      plan,
      least,
    )
    const asked = observed(
      at({ unackedSegments: 1, sendWindow: 0 }),
      {
        unackedSegments: 1,
        sendWindow: 0,
        dataSegmentsSent: 101,
        lastAckReceived: 11_000,
        lastDataReceived: 1e6,
      },
      plan,
      11_000,
    )
    const raised = retransmitMaxFor(readings, asked, plan, answered)
    // Timeouts come at 1, 2 and 4 pauses after the last ACK; before the second of them the limit has been raised.
    expect(2 * raised).toBeGreaterThan(plan.silence)
    expect(4 * answered).toBeLessThan(plan.silence - 500)
    // An outage that began just before the first of them is over before the third.
    expect(4 * answered).toBeGreaterThan(answered + plan.toleratedOutage)
  })
  it('is not known, and left alone, where the kernel does not tell the round trip', () => {
    const unknown = at({ rtt: Number.NaN, rttVariation: Number.NaN })
    expect(retransmitMaxFor(readings, unknown, plan, least)).toBe(least)
    expect(retransmitMaxFor(readings, at({}), old, 0)).toBe(0)
  })
})
